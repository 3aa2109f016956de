/** What a lane shows, in the order of time: stays, moves between them, and the end. Pure. */

import type { MoveUnderWay } from '../../agent/api/client-events';
import { exitText, span } from '../../agent/api/figures';
import { moment } from './moments';
import type { End, Lane, Move, Stay, Time } from './stays';

export type Mark =
  | { kind: 'stay'; key: string; from: Time; until: Time | null; stay: Stay }
  | { kind: 'move'; key: string; from: Time; until: Time | null; move: Move; phase: string | null }
  | { kind: 'end'; key: string; from: Time; until: Time; end: End };

const ORDER = { stay: 0, move: 1, end: 2 } as const;

export function marksOf({ job, stays, moves, end }: Lane, underWay: readonly MoveUnderWay[]): Mark[] {
  const phaseOf = ({ epoch, outcome }: Move): string | null =>
    outcome === 'under-way'
      ? (underWay.find((move) => move.job === job && move.epoch === epoch)?.phase ?? null)
      : null;
  const marks: Mark[] = [
    ...stays.map(
      (stay, index): Mark => ({
        kind: 'stay',
        key: `stay ${index}`,
        from: stay.from,
        until: stay.until,
        stay,
      }),
    ),
    ...moves.map(
      (move): Mark => ({
        kind: 'move',
        key: `move ${move.epoch} ${move.began}`,
        from: move.began,
        until: move.ended,
        move,
        phase: phaseOf(move),
      }),
    ),
    ...(end ? [{ kind: 'end', key: 'end', from: end.at, until: end.at, end } as const] : []),
  ];
  return marks.sort((a, b) => a.from - b.from || ORDER[a.kind] - ORDER[b.kind]);
}

export const OUTCOMES: Record<Move['outcome'], string> = {
  'under-way': 'Under way',
  moved: 'Moved',
  aborted: 'Aborted',
  'given-back': 'Given back',
  lost: 'Lost',
};

export const endText = ({ exit, lost }: End): string => {
  if (lost) return 'lost';
  if (!exit) return 'ended';
  return exit.signal ? `ended by ${exitText(exit)}` : `exit status ${exitText(exit)}`;
};

/** A mark in one sentence, for those who can't see it. */
export function inWords(mark: Mark, now: Time): string {
  switch (mark.kind) {
    case 'stay': {
      const { node, from, until } = mark.stay;
      const how = until === null ? `since ${moment(from)}` : `from ${moment(from)}`;
      return `On ${node} ${how}, ${span(Math.max(0, (until ?? now) - from))}`;
    }
    case 'move': {
      const { from, to, began, outcome, reason, report } = mark.move;
      const parts = [`${OUTCOMES[outcome]}: ${from} to ${to}, epoch ${mark.move.epoch}, ${moment(began)}`];
      if (mark.phase) parts.push(mark.phase);
      if (report) {
        parts.push(`frozen ${span(report.freezeMs)} of ${span(report.totalMs)}`);
        parts.push(...Object.entries(report.phases).map(([phase, ms]) => `${phase} ${span(ms)}`));
      }
      if (reason) parts.push(reason);
      return parts.join('; ');
    }
    case 'end':
      return `${endText(mark.end)}, ${moment(mark.end.at)}${mark.end.lost ? `; ${mark.end.lost}` : ''}`;
    default:
      return mark satisfies never;
  }
}
