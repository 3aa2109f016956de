/** What a node writes down of the copies that it holds, of all homes. */
import type { Epoch } from './ledger';

/**
 * What a node holds of a job: one note a job, written before it is true and cleared after it has ceased to be.
 * - `hosting`: the job runs here. Stays until the job has ended and its home knows, or it is sent away.
 * - `sending`: the copy here is, or is about to be, frozen for the move `epoch`.
 * - `receiving`: something of the move `epoch` is, or is about to be, here; the home was never told that it is restored.
 * - `restored`: a whole frozen copy is here and has not been thawed.
 * - `thawing`: the home committed; the copy may run.
 */
export type Note =
  | { state: 'hosting' | 'receiving' | 'restored' | 'thawing'; epoch: Epoch }
  /** `since`: the epoch under which the job is hosted here if the move is aborted. */
  | { state: 'sending'; epoch: Epoch; since: Epoch };

export type Role = 'host' | 'source' | 'destination';

export const roleOf = ({ state }: Note): Role =>
  state === 'hosting' ? 'host' : state === 'sending' ? 'source' : 'destination';
