/**
 * The agent's watch over its keeper: a keeper that has ended is noticed at once, because the connection ends with it,
 * and another is started. A keeper that another process has started counts: there is one as long as its pid file names a
 * process that lives. One of another version, which an earlier agent has started, goes on until it holds nothing.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { asGodwitError, type GodwitError } from '../api/errors';
import { KEEPER } from '../api/versions';
import type { Log } from '../log';
import { startDetached } from '../machine/daemons/detached';
import { isAlive, readIdentity } from '../machine/proc/identity';
import { type Client, connect } from '../wire/client';
import { type KeeperContract, keeperContract } from './contract';
import type { KeeperLink } from './link';

/** Starting Node and loading a program takes a hundredth of that, and on a busy machine a tenth. */
const READY_MS = 60_000;
/** Between two tries to reach a keeper that is starting. */
const POLL_MS = 50;
/** Between two tries to replace a keeper of another version; each takes a millisecond. */
const REPLACE_MS = 2_000;
/** Its agent was two versions older than this one. */
const BETWEEN =
  'install the version between the two first; or, where no job runs on this node, `godwit agent --stop` and `--start`';
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
  link: Pick<KeeperLink, 'replace'>;
  log: Log;
}

/** A keeper that an agent of another version has started. */
export interface OtherKeeper {
  version: string;
  /** Why it is there still. */
  holds: string;
}

/** The processes that the keeper holds and that can do without it; null while something is done that needs it. */
export type Dispensable = () => Promise<string[] | null>;

export class KeeperWatch {
  #ready: (() => void) | null = null;
  #dispensable: Dispensable = async () => null;
  #other: OtherKeeper | null = null;
  #unanswered = '';

  constructor(private readonly options: KeeperWatchOptions) {}

  /** Resolves when a keeper answers, or after a minute without one: a node without a keeper can still say what is wrong. */
  async start(): Promise<void> {
    const ready = new Promise<void>((resolve) => {
      this.#ready = resolve;
    });
    void this.#watch();
    await Promise.race([ready, sleep(READY_MS, undefined, { ref: false })]);
  }

  /** From now on one of another version is replaced when it holds nothing else. */
  replaceWhenIdle(dispensable: Dispensable): void {
    this.#dispensable = dispensable;
  }

  /** The keeper, where it is not of this agent's version. */
  get other(): OtherKeeper | null {
    return this.#other;
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
        await Promise.race([keeper.closed, this.#look(keeper).catch(({ message }: Error) => log(message))]);
        await keeper.closed;
        this.#other = null;
        log('the keeper has ended');
      } catch (error) {
        this.#reportUnanswered(asGodwitError(error));
      }
      if (!(await this.#lives()) && performance.now() - started > RESTART_MS) {
        started = performance.now();
        await this.#startOne().catch((error: Error) => log(`no keeper can be started: ${error.message}`));
      }
      await sleep(POLL_MS);
    }
  }

  /** One that is not there, or not yet, is no news; one that can't be spoken with is, once. */
  #reportUnanswered({ code, message }: GodwitError): void {
    if (code !== 'wrong-version' || message === this.#unanswered) return;
    this.#unanswered = message;
    // There is nothing to wait for.
    this.#ready?.();
    this.options.log.error(`the keeper can't be asked: ${message}; ${BETWEEN}`);
  }

  async #look(keeper: Client<KeeperContract>): Promise<void> {
    const { keeper: number } = await keeper.call('keeper.identity', {});
    if (number === KEEPER) return;
    const { log } = this.options;
    const { version } = keeper;
    log(
      `the keeper is one of version ${version} (keeper ${number}, and this agent's is ${KEEPER}): it goes on until it holds nothing`,
    );
    let isThere = true;
    void keeper.closed.then(() => {
      isThere = false;
    });
    for (let holds = ''; isThere; await sleep(REPLACE_MS)) {
      const found = await this.#replace();
      if (!isThere) return;
      if (found !== holds) log(`the keeper of version ${version} stays: ${found}`);
      holds = found;
      this.#other = { version, holds };
    }
  }

  /** @returns why it has not come to that */
  async #replace(): Promise<string> {
    const but = await this.#dispensable();
    if (!but) return 'something is under way that needs it';
    try {
      const holds = await this.options.link.replace(but);
      return holds ? `it holds ${holds}` : 'it ends';
    } catch (error) {
      const { code, message } = asGodwitError(error);
      return code === 'no-such-method' ? "it can't be asked to end" : message;
    }
  }

  async #lives(): Promise<boolean> {
    const identity = await readIdentity(keeperPidFile(this.options.state));
    return identity !== null && (await isAlive(identity));
  }

  /**
   * It outlives this agent: a session of its own, its output in its own log. From its first moment it is named in its file,
   * for this agent and for the next: until it is ready, which takes many seconds on a slow machine, each further one would
   * make all of them slower, and one that is named nowhere would be left when the node is taken out.
   */
  async #startOne(): Promise<void> {
    const { state, argv, log } = this.options;
    const files = { log: keeperLog(state), pidFile: keeperPidFile(state) };
    const { pid } = await startDetached({ argv, ...files, env: process.env });
    log(`started a keeper, process ${pid}`);
  }
}
