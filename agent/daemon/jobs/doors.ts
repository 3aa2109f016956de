/**
 * The doors of the jobs that are here: by them their programs ask this agent. The socket inside is PID 1's
 * (helper/door-inside.c); a process outside, one a copy, accepts there and carries what is said to the agent's own socket
 * (helper/door.c). A move closes the door when the job is frozen, since CRIU dumps no connection whose other end is outside.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readlink } from 'node:fs/promises';
import type { Log } from '../../log';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { inodeOf } from '../../machine/criu/look';
import type { Copies } from './copies';
import type { Copy } from './copy';

/** As helper.h has it: the same for all jobs, in a file system of each one's own. */
export const DOOR_PATH = '/dev/shm/.godwit-agent';
/** It turns away who waits and ends, which takes no time; one that was stopped by hand is killed. */
const CLOSE_MS = 5_000;
/** One that has failed is not needed urgently: who asks waits. Each pause is twice the one before, up to the longest. */
const REOPEN_MS = { first: 1_000, most: 60_000 };
/** Its status where a job has no such socket: one of an older version's, or whose user has closed it. */
const NO_DOOR = 3;

interface Relay {
  init: number;
  process: ChildProcess;
  ended: Promise<unknown>;
}

export class Doors {
  readonly #open = new Map<string, Relay>();

  constructor(
    private readonly options: {
      helper: string;
      /** The agent's socket for what comes out of doors. */
      path: string;
      copies: Pick<Copies, 'has' | 'isLeaving'>;
      log: Log;
    },
  ) {}

  /** Harmless where it is open. It closes when the job ends. */
  open(copy: Copy): void {
    this.#start(copy, REOPEN_MS.first);
  }

  #start(copy: Copy, pauseMs: number): void {
    const { helper, path, log } = this.options;
    const { job, init } = copy;
    if (init === null || this.#open.get(job)?.init === init) return;
    const orders = ['door', `${init}`, JobCgroup.at(copy.cgroup).run, path, job];
    const process = spawn(helper, orders, { stdio: ['pipe', 'ignore', 'ignore'] });
    // Its end is what counts.
    process.stdin?.on('error', () => {});
    const ended = once(process, 'exit').then(
      ([status]) => status,
      (error: Error) => error.message,
    );
    const relay = { init, process, ended };
    this.#open.set(job, relay);
    void ended.then((status) => {
      if (this.#open.get(job) !== relay) return;
      this.#open.delete(job);
      if (status === 0) return;
      if (status === NO_DOOR) return log('it has no door by which its programs could ask', { job });
      log(`its door has failed (${status}) and is opened again`, { job });
      setTimeout(() => this.#again(copy, Math.min(2 * pauseMs, REOPEN_MS.most)), pauseMs).unref();
    });
  }

  /** All connections through it are cut; afterwards nothing outside of the job has an end of one. The job is frozen. */
  async close(job: string): Promise<void> {
    const relay = this.#open.get(job);
    if (!relay) return;
    this.#open.delete(job);
    relay.process.stdin?.end();
    const late = setTimeout(() => relay.process.kill('SIGKILL'), CLOSE_MS);
    await relay.ended;
    clearTimeout(late);
  }

  /** The sockets of the door: those of its connections that are outside, and the one that listens. */
  async sockets(job: string): Promise<ReadonlySet<number>> {
    const pid = this.#open.get(job)?.process.pid;
    if (pid === undefined) return new Set();
    const folder = `/proc/${pid}/fd`;
    const names = await readdir(folder).catch(() => []);
    const links = await Promise.all(names.map((name) => readlink(`${folder}/${name}`).catch(() => '')));
    return new Set(links.map(inodeOf).filter((inode) => inode !== 0));
  }

  #again(copy: Copy, pauseMs: number): void {
    const { copies } = this.options;
    if (copies.has(copy) && !copies.isLeaving(copy.job)) this.#start(copy, pauseMs);
  }
}
