import type { MovePhase } from '../../api/client-events';
import type { OpenMove } from '../journal/journal';
import type { HomeState } from './home';

/** What clients see of a move's state at home; null when there is no move. */
export function phaseOf(state: HomeState): MovePhase | null {
  switch (state.at) {
    case 'idle':
      return null;
    case 'intending':
      return 'preparing';
    case 'preparing':
    case 'sending':
    case 'restoring':
    case 'committing':
    case 'thawing':
    case 'returning':
    case 'lost':
      return state.at;
    case 'aborting':
    case 'resuming':
      return 'returning';
    case 'losing':
    case 'forgetting':
      return 'lost';
    case 'closing':
      return state.ending.outcome === 'moved' ? 'thawing' : 'returning';
  }
}

/** What the journal alone says of it. */
export const phaseInJournal: Record<OpenMove['outcome'], MovePhase> = {
  moving: 'preparing',
  committed: 'thawing',
  aborted: 'returning',
  returned: 'returning',
  lost: 'lost',
};
