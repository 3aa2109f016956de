/**
 * What the home knows for certain of a job's moves, and the rules of its epochs, as pure values. A journal keeps
 * a ledger per job; every decision enters it here or not at all.
 */
import { GodwitError } from '../../api/errors';
import type { NodeName, Transfer } from '../../api/model';

/** Counts the attempted moves of a job: the fencing token. */
export type Epoch = number;

/** One attempted move of a job. */
export interface Move {
  from: NodeName;
  to: NodeName;
  /** The epoch of this attempt. */
  epoch: Epoch;
  /** The epoch under which `from` hosts the job, and goes on hosting it if the move is aborted. */
  since: Epoch;
  transfer: Transfer;
}

/** What a node has still to clear away: it can't take part in another move of the job before it has. */
export interface Debt {
  node: NodeName;
  /** `home`: the home that the job had, which is to hear that it has another. */
  role: 'source' | 'destination' | 'home';
  epoch: Epoch;
  /** What is sent to it until it answers. */
  message: 'abort' | 'discard' | 'adopted';
}

/**
 * A move that is not over.
 * - `moving`: intended, nothing decided.
 * - `committed`: the job is the destination's; it has not said yet that it thawed.
 * - `aborted`: the job is the source's; it has not said yet that it resumed.
 * - `returned`: committed, never thawed, given back to the source, which has not said yet that it resumed.
 * - `lost`: it runs nowhere, but the source may hold its frozen copy: a person decides.
 */
export interface OpenMove {
  move: Move;
  outcome: 'moving' | 'committed' | 'aborted' | 'returned' | 'lost';
}

export interface Ledger {
  host: NodeName;
  /** The epoch under which the host hosts the job. */
  epoch: Epoch;
  /** The highest epoch ever used; never below `epoch`. */
  attempted: Epoch;
  open: OpenMove | null;
  debts: readonly Debt[];
  lost: boolean;
}

/** A decision, or something learned, that the home's journal is to write. Each is one transaction. */
export type Entry =
  | { type: 'intent'; move: Move }
  | { type: 'commit'; epoch: Epoch }
  | { type: 'abort'; epoch: Epoch; reason: string }
  /** The destination thawed: the move is over, the source is to discard its copy. */
  | { type: 'thawed'; epoch: Epoch }
  /** The source runs again after an abort or a return: the move is over. */
  | { type: 'resumed'; epoch: Epoch }
  /** Move `of` was committed and never thawed: back to where it came from, as `epoch`. */
  | { type: 'returned'; epoch: Epoch; of: Epoch; reason: string }
  /** `salvage`: the source may still hold its frozen copy, so the move stays open for a person to decide. */
  | { type: 'lost'; epoch: Epoch; reason: string; salvage: boolean }
  /** A person let go of the frozen copy, of a job that is lost or whose destination is gone. */
  | { type: 'forgotten'; epoch: Epoch }
  /** A person gave the job up that is on a host which is gone. `epoch`: under which it is there. */
  | { type: 'given-up'; epoch: Epoch; reason: string }
  /** A person let the copy run that `by` has: it is the job's home from now on. `epoch`: as which it runs there. */
  | { type: 'adopted'; epoch: Epoch; by: NodeName; reason: string }
  /** A debt is paid. `said`: by the home that the job had. */
  | { type: 'cleaned'; epoch: Epoch; node: NodeName; said?: string };

export const launchedOn = (host: NodeName, epoch: Epoch): Ledger => ({
  host,
  epoch,
  attempted: epoch,
  open: null,
  debts: [],
  lost: false,
});

/** The move that would come next. */
export const nextMove = (ledger: Ledger, to: NodeName, transfer: Transfer): Move => ({
  from: ledger.host,
  to,
  epoch: ledger.attempted + 1,
  since: ledger.epoch,
  transfer,
});

const refused = (code: string, message: string) => new GodwitError({ code, message });

/** The ledger after `entry`. Throws `stale-epoch`, `epoch-aborted`, `epoch-committed`, `job-moving`, `job-lost`, `node-indebted`. */
export function enter(ledger: Ledger, entry: Entry): Ledger {
  switch (entry.type) {
    case 'intent':
      return intend(ledger, entry.move);
    case 'cleaned':
      return {
        ...ledger,
        debts: ledger.debts.filter((debt) => debt.node !== entry.node || debt.epoch !== entry.epoch),
      };
    case 'given-up':
      return giveUp(ledger, entry.epoch);
    case 'adopted':
      return handOver(ledger, entry.by, entry.epoch);
    case 'returned':
      return giveBack(ledger, openMove(ledger, entry.of, entry.type), entry.epoch);
    default:
      return decide(ledger, openMove(ledger, entry.epoch, entry.type), entry);
  }
}

function intend(ledger: Ledger, move: Move): Ledger {
  if (ledger.lost) throw refused('job-lost', 'the job is lost');
  if (ledger.open) throw refused('job-moving', `move ${ledger.open.move.epoch} of the job is not over`);
  if (move.epoch !== ledger.attempted + 1) {
    throw refused('stale-epoch', `the next epoch is ${ledger.attempted + 1}, not ${move.epoch}`);
  }
  if (move.from !== ledger.host || move.since !== ledger.epoch || move.to === move.from) {
    throw refused('stale-epoch', `the job is on ${ledger.host} since epoch ${ledger.epoch}`);
  }
  if (ledger.debts.some((debt) => debt.node === move.to)) {
    throw refused('node-indebted', `${move.to} has not cleared away an earlier move of the job`);
  }
  return { ...ledger, attempted: move.epoch, open: { move, outcome: 'moving' } };
}

function openMove({ open }: Ledger, epoch: Epoch, entry: string): OpenMove {
  if (open && open.move.epoch === epoch) return open;
  throw refused(
    'stale-epoch',
    `${entry} of epoch ${epoch}: ${open ? `the move is ${open.move.epoch}` : 'no move is open'}`,
  );
}

type Decision = Exclude<Entry, { type: 'intent' | 'cleaned' | 'returned' | 'given-up' | 'adopted' }>;

function decide(ledger: Ledger, open: OpenMove, entry: Decision): Ledger {
  const { move, outcome } = open;
  const { epoch } = move;
  const toSource: Debt = { node: move.from, role: 'source', epoch, message: 'discard' };
  const toDestination: Debt = { node: move.to, role: 'destination', epoch, message: 'discard' };
  switch (entry.type) {
    case 'commit':
      allow(open, entry.type, ['moving']);
      return { ...ledger, host: move.to, epoch, open: { move, outcome: 'committed' } };
    case 'abort':
      allow(open, entry.type, ['moving']);
      return { ...owing(ledger, { ...toDestination, message: 'abort' }), open: { move, outcome: 'aborted' } };
    case 'thawed':
      allow(open, entry.type, ['committed']);
      return { ...owing(ledger, toSource), open: null };
    case 'resumed':
      allow(open, entry.type, ['aborted', 'returned']);
      return { ...ledger, open: null };
    case 'lost':
      if (entry.salvage) {
        allow(open, entry.type, ['committed']);
        return { ...owing(ledger, toDestination), lost: true, open: { move, outcome: 'lost' } };
      }
      allow(open, entry.type, ['aborted', 'returned']);
      return { ...owing(ledger, toSource), lost: true, open: null };
    case 'forgotten':
      allow(open, entry.type, ['lost', 'committed']);
      return { ...owing(owing(ledger, toSource), toDestination), lost: true, open: null };
    default:
      throw new Error(`not a known entry ${JSON.stringify(entry satisfies never)} after ${outcome}`);
  }
}

function giveBack(ledger: Ledger, open: OpenMove, as: Epoch): Ledger {
  const { move } = open;
  allow(open, 'return', ['committed', 'lost']);
  if (as !== ledger.attempted + 1) {
    throw refused('stale-epoch', `the next epoch is ${ledger.attempted + 1}, not ${as}`);
  }
  const debt: Debt = { node: move.to, role: 'destination', epoch: move.epoch, message: 'discard' };
  return {
    ...owing(ledger, debt),
    host: move.from,
    epoch: as,
    attempted: as,
    lost: false,
    open: { move, outcome: 'returned' },
  };
}

function giveUp(ledger: Ledger, epoch: Epoch): Ledger {
  if (ledger.lost) throw refused('job-lost', 'the job is lost');
  if (ledger.open) throw refused('job-moving', `move ${ledger.open.move.epoch} of the job is not over`);
  if (epoch !== ledger.epoch) throw refused('stale-epoch', `the job lives in epoch ${ledger.epoch}`);
  return { ...owing(ledger, hosted(ledger)), lost: true };
}

/** What runs, or may run, on the job's host. */
const hosted = ({ host: node, epoch }: Ledger): Debt => ({
  ...{ node, role: 'destination', epoch, message: 'discard' },
});

/** All nodes that have something of the job, `by` excepted, have to clear it away. */
function handOver(ledger: Ledger, by: NodeName, as: Epoch): Ledger {
  const { open } = ledger;
  const ends: Debt[] = open
    ? [
        { node: open.move.from, role: 'source', epoch: open.move.epoch, message: 'discard' },
        {
          ...{ node: open.move.to, role: 'destination', epoch: open.move.epoch },
          message: open.outcome === 'committed' || open.outcome === 'lost' ? 'discard' : 'abort',
        },
      ]
    : [];
  const all = [...ends, hosted(ledger)].filter(({ node }) => node !== by);
  const others = { ...ledger, debts: ledger.debts.filter(({ node }) => node !== by) };
  return {
    ...all.reduce(owing, others),
    ...{ host: by, epoch: as, attempted: Math.max(ledger.attempted, as), open: null, lost: false },
  };
}

function allow({ move, outcome }: OpenMove, entry: string, from: OpenMove['outcome'][]): void {
  if (from.includes(outcome)) return;
  throw refused(`epoch-${outcome}`, `${entry} of epoch ${move.epoch}: it is ${outcome} already`);
}

function owing(ledger: Ledger, debt: Debt): Ledger {
  const others = ledger.debts.filter(({ node, epoch }) => node !== debt.node || epoch !== debt.epoch);
  return { ...ledger, debts: [...others, debt] };
}
