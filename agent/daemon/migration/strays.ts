/**
 * Copies here whose home does not answer. While it may come back they are left as they are; when it is gone for good, a
 * person may let one run on, with this node as its home, or have it cleared away.
 *
 * An adoption is one write, as a commit is: with it the journal has the job's ledger, in which the move that was cut is
 * given back to this node, and the copy's note under its new home. What follows is what follows of any such ledger.
 */
import { retryUntilDone } from '../../api/retry';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { heldFiles } from '../../machine/proc/held-files';
import type { Members } from '../cluster/members';
import type { Peers } from '../cluster/peers';
import { Copy, renumber, toldOf } from '../jobs/copy';
import type { Home } from '../jobs/home';
import { presenceOf } from '../jobs/presence';
import type { AdoptedJob, Note } from '../journal/journal';
import { type Debt, type Ledger, launchedOn } from '../journal/ledger';
import { type MoveContext, PAUSES } from './move-context';
import type { Moves } from './moves';
import * as refusals from './stray-refusals';

/** A node that is there answers sooner. */
const ASK_MS = 3_000;

/** What a node believes of another may be some seconds old: for a decision that can't be taken back it is asked. */
export const doesAnswer = (peers: Pick<Peers, 'call'>, node: string): Promise<boolean> =>
  peers.call(node, 'node.status', {}, { timeoutMs: ASK_MS }).then(
    () => true,
    () => false,
  );

export interface Stray {
  note: Note;
  copy: Copy;
}

export interface StraysParts extends MoveContext {
  moves: Moves;
  members: Pick<Members, 'state' | 'silentMs'>;
  home: Pick<Home, 'take'>;
  /** The names of the members. */
  names: () => readonly string[];
}

export class Strays {
  /** Those that a person decides about just now. */
  readonly #deciding = new Set<string>();

  constructor(private readonly parts: StraysParts) {}

  /** The copies here of other nodes' jobs; those that a person has had cleared away are not among them. */
  async list(): Promise<Stray[]> {
    const { copies, journal, node } = this.parts;
    const notes = await journal.notes();
    const all = notes.map(({ job, note, detail }) => ({
      note,
      copy: copies.get(job) ?? Copy.parse(detail.copy),
    }));
    return all.filter(({ copy }) => copy.home !== node && copy.forgotten === null);
  }

  /** Those of homes that do not answer, as far as this node knows. */
  async homeless(): Promise<Stray[]> {
    const { copies, members, names } = this.parts;
    const silent = (home: string) => members.state(home) !== 'up';
    // Asked often, and mostly there are none: then the journal is not read.
    if (![...names(), ...copies.jobs.map((job) => copies.get(job)!.home)].some(silent)) return [];
    return (await this.list()).filter(({ copy }) => silent(copy.home));
  }

  /** The copy runs on here, with this node as its home. @throws why it may or can not, or `not-confirmed` */
  adopt(stray: Stray, confirmed: boolean): Promise<void> {
    return this.#decide(stray, () => this.#adopt(stray, confirmed));
  }

  /** The copy is ended. Its home hears of it when it answers again. @throws why it may not, or `not-confirmed` */
  forget(stray: Stray, confirmed: boolean): Promise<void> {
    return this.#decide(stray, () => this.#forget(stray, confirmed));
  }

  async #decide({ copy: { job, home } }: Stray, work: () => Promise<void>): Promise<void> {
    if (this.#deciding.has(job)) throw refusals.beingDecided(job);
    this.#deciding.add(job);
    try {
      await this.#assertGone(job, home);
      await work();
    } finally {
      this.#deciding.delete(job);
    }
  }

  async #assertGone(job: string, home: string): Promise<void> {
    const { members, names, peers } = this.parts;
    if (!names().includes(home)) return;
    const silentMs = members.silentMs(home) ?? 0;
    if (members.state(home) !== 'down') throw refusals.homeNotDown(job, home, silentMs);
    if (await doesAnswer(peers, home)) throw refusals.homeNotDown(job, home, 0);
  }

  async #adopt(stray: Stray, confirmed: boolean): Promise<void> {
    const { members, node, log } = this.parts;
    const { copy, note } = stray;
    await this.#assertWhole(stray);
    await this.#assertFree(copy);
    const silentMs = members.silentMs(copy.home) ?? 0;
    const told = { job: copy.job, node, home: copy.home, silentMs };
    if (!confirmed) throw refusals.adoptionNotConfirmed(told, note.state === 'hosting');
    const home = copy.home;
    const ledger = await this.#write(stray, refusals.adoptedReason(told));
    log(`adopted: this node is its home from now on, and not ${home}`, {
      job: copy.job,
      epoch: ledger.epoch,
    });
    await this.#goOn(stray, ledger);
  }

  /** Is there a copy that can run on, and does nothing happen to it just now? */
  async #assertWhole({ copy, note }: Stray): Promise<void> {
    const { job } = copy;
    if (note.state === 'receiving') throw refusals.incomplete(job);
    if (!this.#isAtRest({ copy, note })) throw refusals.busy(job);
    const presence = await presenceOf(copy);
    if (presence === 'none' || presence === 'ended') throw refusals.noProcesses(job, copy.home);
  }

  #isAtRest({ copy: { job }, note }: Stray): boolean {
    const { sources, destinations } = this.parts.moves.underWay;
    const rests = {
      hosting: 'idle',
      sending: 'holding',
      receiving: null,
      restored: 'restored',
      thawing: null,
    };
    const executor = (note.state === 'restored' ? destinations : sources).get(job);
    // What runs here since its launch has had no part in any move.
    if (!executor) return note.state === 'hosting';
    return executor.at !== null && executor.at === rests[note.state];
  }

  /** What it has of its home's files can't be had any more; only what it prints may be lost to it. */
  async #assertFree({ job, home, files, cgroup }: Copy): Promise<void> {
    if (files === null) return;
    const at = this.parts.mounted.at({ job, epoch: files });
    const own = [`/jobs/${job}/console`, `/jobs/${job}/status`];
    const held = (await heldFiles(JobCgroup.at(cgroup), at)).filter(
      ({ path }) => !own.some((end) => path.endsWith(end)),
    );
    if (held.length > 0) throw refusals.needsFiles(job, home, held);
  }

  /** From here on the job is this node's. Before it nothing has been done, and what its home says counts. */
  async #write({ copy, note }: Stray, reason: string): Promise<Ledger> {
    const { journal, moves, node, points } = this.parts;
    const { underWay } = moves;
    await points.reach('adoption.intended');
    // Its home may have been heard meanwhile.
    if (!this.#isAtRest({ copy, note })) throw refusals.busy(copy.job);
    for (const executors of [underWay.sources, underWay.destinations]) executors.get(copy.job)?.retire();
    const ledger = ledgerOf({ copy, note }, node);
    const adopted = { ...copy, home: node, severed: copy.files === null ? null : copy.home };
    const next: Note = note.state === 'hosting' ? { state: 'hosting', epoch: ledger.epoch } : note;
    if (note.state === 'hosting') renumber(adopted, ledger.epoch);
    try {
      await journal.adopt(jobOf(adopted, { ledger, note: next, reason }));
    } catch (error) {
      moves.rehome(note, copy);
      throw error;
    }
    // The object is the one that is looked after.
    Object.assign(copy, adopted);
    await points.reach('adoption.written');
    return ledger;
  }

  async #goOn({ copy, note }: Stray, ledger: Ledger): Promise<void> {
    const { home, journal, log, moves, mounted, points } = this.parts;
    const { job, files } = copy;
    // What waits for the files of the home that is gone gets an error now. There is no way back: it is done until it works.
    const failed = (error: unknown) =>
      log(`its files are not taken from it yet: ${(error as Error).message}`, { job });
    if (files !== null) await retryUntilDone(() => mounted.end({ job, epoch: files }), failed, PAUSES);
    await points.reach('adoption.severed');
    await home.take(await journal.job(job));
    moves.rehome(note.state === 'hosting' ? { state: 'hosting', epoch: ledger.epoch } : note, copy);
    const coordinator = moves.coordinator(job);
    if (!ledger.open) return coordinator.restart(ledger);
    const ending = await coordinator.takeUp(ledger);
    if (ending.outcome === 'lost') throw refusals.gone(job, ending.reason);
  }

  async #forget({ copy, note }: Stray, confirmed: boolean): Promise<void> {
    const { clearing, journal, members, names, node, log } = this.parts;
    const { job, home } = copy;
    const told = { job, node, home, silentMs: members.silentMs(home) ?? 0 };
    if (!confirmed) throw refusals.forgettingNotConfirmed(told);
    copy.forgotten = refusals.forgottenReason(told);
    await journal.putNote({ job, note, detail: { copy } });
    log(`ended by a person's word while its home ${home} is gone`, { job, epoch: note.epoch });
    await clearing.end(copy);
    if (!names().includes(home)) await this.#clear(copy);
  }

  /** All of it: there is no home any more that could ask. */
  async #clear(copy: Copy): Promise<void> {
    const { clearing, copies, journal, moves } = this.parts;
    const { underWay } = moves;
    for (const executors of [underWay.sources, underWay.destinations]) {
      executors.get(copy.job)?.retire();
      executors.delete(copy.job);
    }
    copies.delete(copy.job);
    await clearing.clear(copy);
    await journal.clearNote(copy.job);
  }
}

/**
 * As if this node had been the home all along. A frozen copy is one whose move was given back to this node, or, where
 * it is the restored one, was committed; one that runs is hosted.
 */
function ledgerOf({ copy, note }: Stray, node: string): Ledger {
  const epoch = note.epoch + 1;
  const toHome: Debt = { node: copy.home, role: 'home', epoch, message: 'adopted' };
  const debts = [toHome];
  if (note.state === 'hosting') return { ...launchedOn(node, epoch), debts };
  const ends = { epoch: note.epoch, transfer: 'stop' } as const;
  if (note.state === 'sending') {
    const move = { from: node, to: copy.home, since: note.since, ...ends };
    return { ...launchedOn(node, epoch), open: { move, outcome: 'returned' }, debts };
  }
  const move = { from: copy.home, to: node, since: 0, ...ends };
  return { ...launchedOn(node, note.epoch), attempted: epoch, open: { move, outcome: 'committed' }, debts };
}

function jobOf(
  copy: Copy,
  { ledger, note, reason }: Pick<AdoptedJob, 'ledger' | 'reason'> & { note: Note },
): AdoptedJob {
  const { job, user, limits, address, allocation, terminal, launchedStopped } = copy;
  const { command, array, ...told } = toldOf(copy);
  const tty = terminal ? { tty: { rows: 24, columns: 80 } } : {};
  return {
    id: job,
    ...told,
    spec: { command, user, limits, address, allocation, array, allowIoUring: false, ...tty },
    ...{ launchedStopped, ledger, note: { job, note, detail: { copy } }, reason },
  };
}
