/**
 * The agent's watch over its keeper: a keeper that has ended is noticed at once, because the connection ends with it,
 * and another is started. A keeper that another process has started counts: there is one as long as its pid file names a
 * process that lives.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../log';
import { identityLine, isAlive, readIdentity, startOf } from '../machine/proc/identity';
import { connect } from '../wire/client';
import { keeperContract } from './contract';

/** Starting Node and loading a program takes a hundredth of that, and on a busy machine a tenth. */
const READY_MS = 60_000;
/** Between two tries to reach a keeper that is starting. */
const POLL_MS = 50;
/** A keeper that ends at once again and again is not started more often than this. */
const RESTART_MS = 1_000;

export const keeperPidFile = (state: string) => join(state, 'keeper.pid');
export const keeperLog = (state: string) => join(state, 'keeper.log');

export interface KeeperWatchOptions {
  node: string;
  state: string;
  socket: string;
  /** The program and its configuration. */
  argv: [string, ...string[]];
  log: Log;
}

export class KeeperWatch {
  #ready: (() => void) | null = null;

  constructor(private readonly options: KeeperWatchOptions) {}

  /** Resolves when a keeper answers, or after a minute without one: a node without a keeper can still say what is wrong. */
  async start(): Promise<void> {
    const ready = new Promise<void>((resolve) => {
      this.#ready = resolve;
    });
    void this.#watch();
    await Promise.race([ready, sleep(READY_MS, undefined, { ref: false })]);
  }

  async #watch(): Promise<never> {
    const { node, socket, log } = this.options;
    let started = Number.NEGATIVE_INFINITY;
    for (;;) {
      try {
        const keeper = await connect(
          { path: socket },
          { name: node, kind: 'agent', contract: keeperContract },
        );
        this.#ready?.();
        await keeper.closed;
        log('the keeper has ended');
      } catch {
        // None, or not yet.
      }
      if (!(await this.#lives()) && performance.now() - started > RESTART_MS) {
        started = performance.now();
        await this.#startOne().catch((error: Error) => log(`no keeper can be started: ${error.message}`));
      }
      await sleep(POLL_MS);
    }
  }

  async #lives(): Promise<boolean> {
    const identity = await readIdentity(keeperPidFile(this.options.state));
    return identity !== null && (await isAlive(identity));
  }

  /**
   * The keeper writes the same when it is ready. Until then, which takes many seconds on a slow machine, it counts as there is
   * one, for this agent and for the next: each further one would make all of them slower, and take the socket of the first.
   */
  async #noteStarted(pid: number): Promise<void> {
    const started = await startOf(pid);
    const line = started && identityLine({ pid, started });
    if (line) await writeFile(keeperPidFile(this.options.state), line, { mode: 0o600 });
  }

  /** It outlives this agent: a session of its own, its output in its own log. */
  async #startOne(): Promise<void> {
    const { state, argv, log } = this.options;
    const out = await open(keeperLog(state), 'a', 0o600);
    try {
      const [program, ...args] = argv;
      const child = spawn(program, args, { detached: true, cwd: '/', stdio: ['ignore', out.fd, out.fd] });
      await Promise.race([
        once(child, 'spawn'),
        once(child, 'error').then(([error]) => Promise.reject(error)),
      ]);
      child.unref();
      await this.#noteStarted(child.pid!);
      log(`started a keeper, process ${child.pid}`);
    } finally {
      await out.close();
    }
  }
}
