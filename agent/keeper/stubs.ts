import { randomUUID } from 'node:crypto';
import { constants } from 'node:os';
import type { Duplex } from 'node:stream';
import { GodwitError, initNotDebugged, jobMoving } from '../api/errors';
import { type Exit, PROGRAM_PID } from '../api/model';
import { signalName } from '../api/signals';
import type { Tools } from '../debug/attach/tools';
import { freshStub, type ParkedStub } from '../debug/state/parked';
import { Stub } from '../debug/stub/stub';
import type { Log } from '../log';
import { JobCgroup } from '../machine/cgroup/cgroup';
import { nodePid } from '../machine/proc/processes';
import { SerialQueue } from '../machine/serial-queue';
import type { JobLocation } from './contract';
import { FREEZE_DEADLINE_MS, Stillness } from './stillness';

/** A debugged process comes to a stop at once unless it sleeps uninterruptibly; hundreds of threads on a busy machine take seconds. */
const STOP_DEADLINE_MS = 20_000;
/** Debuggers of one job from which on its children get none by themselves: each is a gdbserver, and mostly a gdb. */
const MOST_FOLLOWED = 64;

interface Parked {
  parked: ParkedStub[];
  parkMs: number;
  frozenMs: number;
}

/** What the keeper knows of one job: its stubs, or what became of them when they were parked. */
class JobStubs {
  /** By session: which process one is attached to changes when its client follows a child. */
  readonly stubs = new Map<string, Stub>();
  /** Detached from their process, but with messages that their client has not received yet. */
  readonly leaving = new Set<Stub>();
  /** Why a session's stub could not be attached again, by session. */
  readonly failures = new Map<string, string>();
  /** Why a process may have a breakpoint left in it. */
  lost: { reason: string; alive: boolean } | null = null;
  parked: Parked | null = null;
  unparked: { thawMs: number } | null = null;
  /** One request at a time: an attach and a park never overlap. */
  readonly requests = new SerialQueue();
  readonly stillness = new Stillness();
}

/**
 * The stubs of this node's jobs. Each call here runs to its end once begun, even if the agent that asked ends: no job
 * stays frozen because an agent was restarted, and asking again gives the same answer.
 */
export class Stubs {
  readonly #jobs = new Map<string, JobStubs>();

  constructor(
    private readonly options: {
      /** How the job ended, from its supervisor; answers when it has. */
      ended: (location: JobLocation) => Promise<{ code: number } | { signal: number }>;
      tools: Tools;
      log: Log;
    },
  ) {}

  attach(location: JobLocation, pid: number, session: string): Promise<Record<string, never>> {
    const job = this.#job(location.job);
    return job.requests.take(async () => {
      if (job.parked) throw jobMoving(location.job);
      if (job.stubs.has(session)) return {};
      if (isDebugged(job, pid)) throw alreadyDebugged(location.job, pid);
      await this.#attach(location, freshStub(session, pid));
      return {};
    });
  }

  /** `first` is done while the job stands still. */
  async #attach(location: JobLocation, fresh: ParkedStub, first?: () => Promise<void>): Promise<void> {
    const cgroup = JobCgroup.at(location.cgroup);
    const { stillness } = this.#job(location.job);
    await stillness.begin(cgroup);
    const attach = async () => {
      await first?.();
      // What a debug server has let go passes through a moment of not being frozen on its way into the freezer.
      if (first) await cgroup.freeze(FREEZE_DEADLINE_MS);
      return this.#unpark(location, fresh);
    };
    const stub = await attach().finally(() => stillness.end(cgroup));
    stub.go();
  }

  /** A child of a debugged process gets a stub, for which a client has as long as one whose connection was cut. */
  async #keepChild(location: JobLocation, pid: number, letGo: () => Promise<void>): Promise<string> {
    const { stubs } = this.#job(location.job);
    if (stubs.size >= MOST_FOLLOWED) throw tooManyFollowed(stubs.size);
    const session = randomUUID();
    await this.#attach(location, freshStub(session, pid), letGo);
    return session;
  }

  connect(job: string, pid: number, session: string, stream: Duplex) {
    this.#stub(job, pid, session).connect(stream);
  }

  /** Throws unless the session's stub is here. */
  check(job: string, pid: number, session: string) {
    this.#stub(job, pid, session);
  }

  async gone(job: string, session: string): Promise<Record<string, never>> {
    const stubs = this.#jobs.get(job);
    const stub = stubs?.stubs.get(session);
    if (stubs && stub) await stubs.requests.take(() => stub.end());
    return {};
  }

  list() {
    const stubs = [...this.#jobs].flatMap(([job, { stubs }]) =>
      [...stubs.values()].map(({ pid, session, connected, running }) => ({
        ...{ job, pid, session, connected, running },
      })),
    );
    return { stubs };
  }

  park(location: JobLocation): Promise<Parked> {
    const job = this.#job(location.job);
    return job.requests.take(async () => {
      job.parked ??= await this.#park(location, job);
      job.unparked = null;
      return job.parked;
    });
  }

  async #park(location: JobLocation, { stubs }: JobStubs): Promise<Parked> {
    const begun = performance.now();
    const cgroup = JobCgroup.at(location.cgroup);
    const released = new Map<Stub, ParkedStub>();
    try {
      // One by one: a parent and its child that are both debugged may wait for each other's fork events.
      for (const stub of stubs.values()) await stub.stop(STOP_DEADLINE_MS);
      await cgroup.freeze(FREEZE_DEADLINE_MS);
      const frozen = performance.now();
      for (const stub of stubs.values()) released.set(stub, await stub.release());
      // Threads that leave ptrace's stop pass through a moment of not being frozen on their way into the freezer.
      await cgroup.freeze(FREEZE_DEADLINE_MS);
      stubs.clear();
      const frozenMs = performance.now() - frozen;
      return { parked: [...released.values()], parkMs: performance.now() - begun, frozenMs };
    } catch (error) {
      await this.#giveUpPark(location, stubs, released);
      throw error;
    }
  }

  /** As before the park: those that detached already are attached again, the others resume. */
  async #giveUpPark(location: JobLocation, stubs: Map<string, Stub>, released: Map<Stub, ParkedStub>) {
    const kept = [...stubs.values()].filter((stub) => !released.has(stub));
    stubs.clear();
    for (const stub of kept) stubs.set(stub.session, stub);
    await this.#unparkAll(location, [...released.values()], true);
    for (const stub of kept) await stub.unstop();
  }

  unpark(location: JobLocation, parked: ParkedStub[], thaw: boolean): Promise<{ thawMs: number }> {
    const job = this.#job(location.job);
    return job.requests.take(async () => {
      job.unparked ??= await this.#unparkAll(location, job.parked?.parked ?? parked, thaw);
      job.parked = null;
      return job.unparked;
    });
  }

  async #unparkAll(location: JobLocation, parked: ParkedStub[], thaw: boolean) {
    const begun = performance.now();
    const stubs: Stub[] = [];
    for (const state of parked) {
      try {
        stubs.push(await this.#unpark(location, state));
      } catch (error) {
        // The job matters more than its debugger: it goes on without, and the client gets the reason when it connects.
        this.#job(location.job).failures.set(state.session, (error as Error).message);
        this.options.log(
          `${location.job}: debugger of process ${state.memory.pid} lost: ${(error as Error).message}`,
        );
      }
    }
    if (thaw || stubs.length > 0) await JobCgroup.at(location.cgroup).thaw();
    for (const stub of stubs) stub.go();
    return { thawMs: performance.now() - begun };
  }

  /** `work`, during which, until it says that it is done with the job's processes, these are not parked and get no stub. */
  untouched<T>(id: string, work: (done: () => void) => Promise<T>): Promise<T> {
    const job = this.#job(id);
    return new Promise<T>((resolve, reject) => {
      void job.requests.take(
        () =>
          new Promise<void>((done) => {
            if (job.parked) reject(jobMoving(id));
            else work(done).then(resolve, reject).finally(done);
            if (job.parked) done();
          }),
      );
    });
  }

  /** What would go with this keeper; null where nothing would. */
  held(): string | null {
    for (const [job, { stubs, leaving, parked, failures, lost }] of this.#jobs) {
      if (stubs.size > 0) return `a debugger of job ${job}`;
      if (leaving.size > 0) return `the last words to a debugger of job ${job}`;
      if (parked) return `a debugger of job ${job}, parked`;
      if (lost || failures.size > 0) return `what became of a debugger of job ${job}`;
    }
    return null;
  }

  debuggerLost(job: string) {
    return { lost: this.#jobs.get(job)?.lost ?? null };
  }

  /** Stubs with messages that have not been received yet are kept until they have. */
  forget(job: string) {
    const stubs = this.#jobs.get(job);
    if (stubs && stubs.leaving.size === 0 && stubs.stubs.size === 0) this.#jobs.delete(job);
    else if (stubs) stubs.parked = stubs.unparked = null;
    return {};
  }

  async #unpark(location: JobLocation, state: ParkedStub): Promise<Stub> {
    const cgroup = JobCgroup.at(location.cgroup);
    const { pid } = state.memory;
    const process = await nodePid(cgroup, pid);
    if (process === location.init) throw initNotDebugged(location.job, pid);
    const target = {
      pid: process,
      init: location.init,
      run: cgroup.run,
      attach: cgroup.attach,
      owner: location.user,
      tools: this.options.tools,
    };
    const { stubs, leaving, stillness } = this.#job(location.job);
    const stub = await Stub.unpark(target, state, {
      hooks: {
        freeze: () => stillness.begin(cgroup),
        thaw: () => stillness.end(cgroup),
        exitStatus: () => this.#exit(location, pid),
        keepChild: (child, letGo) => this.#keepChild(location, child, letGo),
      },
    });
    stubs.set(stub.session, stub);
    stub.once('ended', (reason) => {
      this.options.log(`the debugger has left process ${pid}: ${reason}`, { job: location.job });
      if (stubs.get(stub.session) === stub) stubs.delete(stub.session);
      leaving.add(stub);
    });
    stub.once('gdbserverExited', (alive) => {
      this.#job(location.job).lost = { reason: `the gdbserver of its process ${pid} was ended`, alive };
    });
    stub.once('closed', () => leaving.delete(stub));
    return stub;
  }

  /** A process that is not the program itself ends unseen only when the job's PID 1 takes it along. */
  async #exit(location: JobLocation, pid: number): Promise<Exit> {
    const end = await this.options.ended(location);
    if (pid !== PROGRAM_PID) return signalled(constants.signals.SIGKILL);
    if ('signal' in end) return signalled(end.signal);
    return end.code > 128 ? signalled(end.code - 128) : { exit: end.code, signal: null };
  }

  #job(id: string): JobStubs {
    const job = this.#jobs.get(id) ?? new JobStubs();
    this.#jobs.set(id, job);
    return job;
  }

  #stub(job: string, pid: number, session: string): Stub {
    const stubs = this.#jobs.get(job);
    const stub = stubs?.stubs.get(session);
    if (stub) return stub;
    const leaving = [...(stubs?.leaving ?? [])].find((one) => one.session === session);
    if (leaving) return leaving;
    if (stubs && isDebugged(stubs, pid)) throw alreadyDebugged(job, pid);
    throw notAttached(job, pid, stubs?.failures.get(session));
  }
}

const isDebugged = ({ stubs }: JobStubs, pid: number): boolean =>
  [...stubs.values()].some((stub) => stub.pid === pid);

const alreadyDebugged = (job: string, pid: number) =>
  new GodwitError({
    code: 'already-debugged',
    message: `process ${pid} of job ${job} has a debugger already`,
    fix: 'end that session first, or give another process with -p',
  });

const tooManyFollowed = (count: number) =>
  new GodwitError({
    code: 'too-many-followed',
    message: `${count} processes of the job are being debugged already`,
    fix: 'attach to it by its number when others have ended',
  });

const signalled = (number: number): Exit => ({ exit: 128 + number, signal: signalName(number) });

/** Final for a line: its session is looked for only where the job is and after it has settled. */
const notAttached = (job: string, pid: number, why = 'the debugger was not carried here') =>
  new GodwitError({
    code: 'debug-session-lost',
    message: `the debugger of process ${pid} of job ${job} is lost, the job runs on without it: ${why}`,
    fix: 'attach again with `godwit gdb`',
  });
