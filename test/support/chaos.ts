/**
 * Moves with faults: each fault at each named step, and at random. After each the job must be in one place, go on,
 * and have every line of its output once and in order; its debugger must answer.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asGodwitError } from '../../agent/api/errors';
import { FAULT_POINTS, type FaultPoint } from '../../agent/daemon/migration/fault-points';
import { Company } from './company';
import type { FaultJob, FaultLab } from './fault-lab';
import type { Cast, Fault, RoleName } from './faults';
import type { Gdb } from './gdb';

/** A step that a move does not come by within this is not on its way. */
const REACH_MS = 60_000;
const POLL_MS = 5;
/** What a move takes: a fault at a random moment comes before that. */
const MOVE_MS = 600;

/** Steps that only a move that fails comes by. */
const ON_THE_WAY_BACK: FaultPoint[] = [
  'home.abort-written',
  'home.resumed-received',
  'source.thawing',
  'source.unparked',
  'source.hosting-noted',
  'destination.killing',
  'destination.killed',
  'destination.cleared',
];

/** Steps that a move comes by after its request was answered. */
const AFTERWARDS: FaultPoint[] = [
  'source.killing',
  'source.killed',
  'source.cleared',
  'home.discarded-received',
];

export const POINTS: FaultPoint[] = Object.entries(FAULT_POINTS).flatMap(([role, steps]) =>
  steps.map((step) => `${role}.${step}` as FaultPoint),
);

export interface Totals {
  moves: number;
  faults: number;
  lost: number;
  excepted: number;
  'debuggers lost': number;
  doubled: number;
  'lines wrong': number;
  /** Made by the cluster itself, beside those that are struck. */
  'moves by balance': number;
}

export interface Blow {
  /** Where it is struck: at a step, or after so many milliseconds. */
  at: FaultPoint | number;
  fault: Fault;
  cast: Cast;
  debugged: boolean;
}

/**
 * `none`: there was nothing to break, or the move did not come by. `excepted`: the job is lost, by one of the named
 * exceptions, and said to be. `undebugged`: the job goes on, without its debugger.
 */
export type Result = 'good' | 'excepted' | 'undebugged' | 'none' | { wrong: string };

export class Chaos {
  readonly totals: Totals = {
    moves: 0,
    faults: 0,
    lost: 0,
    excepted: 0,
    'debuggers lost': 0,
    doubled: 0,
    'lines wrong': 0,
    'moves by balance': 0,
  };
  #company: Company | null = null;
  #job: { job: FaultJob; gdb: Gdb | null } | null = null;

  constructor(
    private readonly lab: FaultLab,
    private readonly log: (line: string) => void = () => {},
  ) {}

  /** One move with one fault, and what came of it. */
  async strike(blow: Blow): Promise<Result> {
    const { cast, debugged, fault } = blow;
    try {
      const { job, gdb } = await this.#ready(cast, debugged);
      const struck = await this.#moved(job, blow);
      if (struck) {
        this.totals.faults++;
        this.#company?.struck(fault);
      }
      const result = await this.#judge(job, gdb, blow, struck);
      return result;
    } catch (error) {
      this.#complain(blow, (error as Error).message);
      this.totals.lost++;
      await this.abandon();
      return { wrong: `${fault.name}: ${(error as Error).message}` };
    }
  }

  /** With balance on from now on, and jobs that it moves; until the job's end. */
  async balances(home: string): Promise<void> {
    this.#company = await Company.begin(this.lab, home);
  }

  /** Ends the job, and checks all that it said and that nothing is left: what is wrong with that, or null. */
  async finish(): Promise<string | null> {
    const { job, gdb } = this.#job ?? {};
    try {
      if (gdb) {
        await gdb.do('delete');
        await gdb.do('detach');
        await gdb.quit();
      }
      await job?.ends();
      this.totals['moves by balance'] += (await this.#company?.ends()) ?? 0;
      this.#company = null;
      await this.lab.leavesNothing();
      this.#job = null;
      return null;
    } catch (error) {
      const { message } = error as Error;
      this.log(`at the job's end: ${message}\n${this.lab.lastWords()}`);
      if (/line \d+/.test(message)) this.totals['lines wrong']++;
      await this.abandon();
      return message;
    }
  }

  /** Away with a job of which nothing more is expected. */
  async abandon(): Promise<void> {
    this.drop();
    this.lab.criu('real');
    await this.lab.recover();
  }

  /** As `abandon`, with a lab that goes too. */
  drop(): void {
    this.#job?.gdb?.kill();
    this.#job = null;
    this.#company = null;
  }

  /** A job with this home on this source, under a debugger or not. */
  async #ready(cast: Cast, debugged: boolean) {
    const known = this.#job;
    if (known && (known.job.home !== cast.home || (known.gdb !== null) !== debugged)) await this.finish();
    if (!this.#job) {
      const job = await this.lab.run(cast.home, cast.source);
      this.#job = { job, gdb: debugged ? await this.#debugger(job, cast.home) : null };
    }
    await this.#job.job.place(cast.source);
    return this.#job;
  }

  async #debugger(job: FaultJob, node: string): Promise<Gdb> {
    const gdb = this.lab.gdb(job, node);
    await gdb.ready();
    await gdb.do('break say');
    await gdb.do('continue');
    return gdb;
  }

  /** Moves the job and breaks things on the way. Was there anything to break? */
  async #moved(job: FaultJob, { at, fault, cast }: Blow): Promise<boolean> {
    const { lab } = this;
    this.totals.moves++;
    if (typeof at === 'string' && ON_THE_WAY_BACK.includes(at)) lab.criu('restore-fails');
    const node = typeof at === 'string' ? cast[at.split('.')[0] as RoleName] : '';
    if (typeof at === 'string') lab.arm(node, at);
    let over = '';
    const move = job.migrate(cast.destination).then(
      () => {
        over = 'it has moved';
      },
      (error: Error) => {
        over = error.message;
      },
    );
    let mend: (() => Promise<void>) | null = null;
    if (typeof at === 'number') {
      await sleep(at);
      mend = await fault.strike(lab, cast);
    } else {
      const until = performance.now() + REACH_MS;
      while (!lab.stands(node, at) && !(over && isOnTheWay(at)) && performance.now() < until)
        await sleep(POLL_MS);
      if (lab.stands(node, at)) mend = await fault.strike(lab, cast);
      else this.log(`no move came by ${at}: ${over || 'it hangs'}`);
    }
    lab.disarm();
    await mend?.();
    await move;
    lab.criu('real');
    return mend !== null;
  }

  async #judge(job: FaultJob, gdb: Gdb | null, blow: Blow, struck: boolean): Promise<Result> {
    const { fault, debugged } = blow;
    const mayLose = struck && (fault.mayLose === 'always' || (fault.mayLose === 'debugged' && debugged));
    try {
      await job.settles(mayLose);
      if (gdb) await debugsOn(gdb);
      else await job.goesOn();
      job.checkLines();
      return struck ? 'good' : 'none';
    } catch (error) {
      const { message } = asGodwitError(error);
      const exception = mayLose && (await this.#exception(job, blow));
      if (exception) {
        this.totals[exception === 'excepted' ? 'excepted' : 'debuggers lost']++;
        await this.abandon();
        return exception;
      }
      if (/line \d+/.test(message)) this.totals['lines wrong']++;
      else if (/there are [2-9] copies/.test(message)) this.totals.doubled++;
      else this.totals.lost++;
      this.#complain(blow, message);
      await this.abandon();
      return { wrong: message };
    }
  }

  #complain(blow: Blow, message: string) {
    this.log(`${name(blow)}: ${message}\n${this.lab.lastWords()}`);
  }

  /** A job whose loss is said with its cause, or which goes on without its debugger; null for anything else. */
  async #exception(job: FaultJob, blow: Blow): Promise<'excepted' | 'undebugged' | null> {
    try {
      const { state } = await job.seen();
      if (state !== 'lost') {
        await job.settles(true);
        await job.goesOn();
        job.checkLines();
        return 'undebugged';
      }
      const { code, message } = await job.wait().then(
        () => ({ code: 'none', message: 'it is waited for as if it had ended' }),
        (error) => asGodwitError(error),
      );
      this.log(`${name(blow)}: ${message}`);
      return code === 'job-lost' ? 'excepted' : null;
    } catch (error) {
      this.log(`nor does it go on without its debugger: ${(error as Error).message}`);
      return null;
    }
  }
}

const name = ({ at, fault, cast, debugged }: Blow) =>
  `${typeof at === 'number' ? `after ${at} ms` : at}, ${fault.name}, ${cast.home}: ${cast.source} to ${cast.destination}${debugged ? ', debugged' : ''}`;

/** Is it passed before the request for the move is answered? */
const isOnTheWay = (at: FaultPoint) => !AFTERWARDS.includes(at) && !ON_THE_WAY_BACK.includes(at);

/** It stands where it stood, and comes by its breakpoint again. */
async function debugsOn(gdb: Gdb): Promise<void> {
  const answer = await gdb.do('continue');
  if (!answer.includes('say ()')) throw new Error(`gdb says: ${answer}`);
}

/** Numbers that a seed gives: mulberry32. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Any fault at any step or moment of any move. */
export function randomBlow(
  random: () => number,
  faults: Fault[],
  nodes: readonly string[],
  job: { home: string; source: string; debugged: boolean },
): Blow {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
  const destination = pick(nodes.filter((node) => node !== job.source));
  const at = random() < 0.6 ? pick(POINTS) : Math.round(random() * MOVE_MS);
  return {
    at,
    fault: pick(faults),
    cast: { home: job.home, source: job.source, destination },
    debugged: job.debugged,
  };
}
