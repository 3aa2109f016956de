/** Rows of the journal's file, parsed. */
import { Exit, KeptSpec } from '../../api/model';
import type { HomedJob } from './journal';
import { StoredDebts, StoredOpen, StoredState } from './schema';

export type Row = Record<string, unknown>;

export const json = (text: unknown): unknown => JSON.parse(String(text));

export function toJob(row: Row): HomedJob {
  const state = StoredState.parse(row.state);
  return {
    id: String(row.id),
    name: String(row.name),
    spec: KeptSpec.parse(json(row.spec)),
    position: Number(row.position),
    state,
    pid: row.pid === null ? null : Number(row.pid),
    exit: row.exit === null ? null : Exit.parse(json(row.exit)),
    started: String(row.started),
    ended: row.ended === null ? null : String(row.ended),
    pinned: row.pinned === 1,
    balanced: row.balanced === 1,
    launchedStopped: row.launchedStopped === 1,
    moves: Number(row.moves),
    moveStarted: row.moveStarted === null ? null : String(row.moveStarted),
    queuedSince: row.queuedSince === null ? null : String(row.queuedSince),
    ledger: {
      host: String(row.host),
      epoch: Number(row.epoch),
      attempted: Number(row.attempted),
      open: row.open === null ? null : StoredOpen.parse(json(row.open)),
      debts: StoredDebts.parse(json(row.debts)),
      lost: state === 'lost',
    },
  };
}
