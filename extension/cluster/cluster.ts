import type { Duplex } from 'node:stream';
import { type Disposable, EventEmitter } from 'vscode';
import type { ClientContract } from '../../agent/api/client-contract';
import type { ClusterSnapshot } from '../../agent/api/client-events';
import type { CallOptions, Method, Result, SentParams } from '../../agent/api/contract';
import { asGodwitError, type GodwitError } from '../../agent/api/errors';
import { GrowingPause } from '../../agent/api/retry';
import { type Agent, dial } from '../../agent/client/agent';
import { findSocket } from '../../agent/client/agent-socket';
import type { Log } from '../window';
import { clusterLost, noCluster, notAdmitted } from './errors';
import type { ClusterSource } from './source';

/** Between two attempts to reach an agent: soon after it went, and soon enough for one that a person starts. */
const PAUSES = { firstMs: 250, mostMs: 2_000 };

/**
 * - `connecting`: for the first time, or to another agent than before
 * - `none`: no agent answers there
 * - `refused`: it is there and can't be used: this user is not admitted, it is of another version
 * - `lost`: it answered and does no longer
 */
export type ClusterState = 'connecting' | 'connected' | 'none' | 'refused' | 'lost';

/** The connection to one agent: made, watched, and made again for as long as the extension lives. */
export class Cluster implements ClusterSource, Disposable {
  readonly #changes = new EventEmitter<ClusterSnapshot | undefined>();
  readonly #states = new EventEmitter<ClusterState>();
  /** Each snapshot as it comes, and undefined when the agent is lost, or refuses. */
  readonly onDidChange = this.#changes.event;
  readonly onDidChangeState = this.#states.event;

  #snapshot: ClusterSnapshot | undefined;
  #state: ClusterState = 'connecting';
  #problem: GodwitError | undefined;
  #agent: Agent | undefined;
  #socket = '';
  /** One for each agent that is tried to be held; aborted when another takes its place. */
  #holding = new AbortController();
  /** Ends the pause before the next attempt. */
  #hurry = () => {};

  constructor(
    private readonly setting: () => string,
    private readonly log: Log,
  ) {
    void this.#hold(this.#holding.signal);
  }

  get snapshot(): ClusterSnapshot | undefined {
    return this.#snapshot;
  }

  get state(): ClusterState {
    return this.#state;
  }

  /** Why there is no connection. */
  get problem(): GodwitError | undefined {
    return this.#problem;
  }

  get refusal(): GodwitError | undefined {
    return this.#state === 'refused' ? this.#problem : undefined;
  }

  /** Of the agent that is, or would be, asked. */
  get socket(): string {
    return this.#socket;
  }

  async call<M extends Method<ClientContract>>(
    method: M,
    params: SentParams<ClientContract, M>,
    options?: CallOptions,
  ): Promise<Result<ClientContract, M>> {
    return this.#connected().call(method, params, options);
  }

  async openStream(ticket: string): Promise<Duplex> {
    return this.#connected().openStream(ticket);
  }

  /** Looks for the agent anew, at once: its setting has changed, or one has been started or ended. */
  reconnect(): void {
    if (this.#agent && this.#socket === this.#find()) return;
    this.#holding.abort();
    this.#agent?.close();
    this.#agent = undefined;
    this.#holding = new AbortController();
    this.#enter('connecting');
    void this.#hold(this.#holding.signal);
  }

  /** Resolves when there is a snapshot; rejects with the problem when there is none in time, or there will be none. */
  async ready(withinMs: number): Promise<ClusterSnapshot> {
    this.#hurry();
    const unless = () => this.#state === 'refused';
    const snapshot = await this.until((one) => one, withinMs, { unless });
    if (!snapshot) throw this.#problem ?? noCluster(this.#socket);
    return snapshot;
  }

  /**
   * Resolves with what is found in the snapshot that there is, or in the first later one; undefined if it is not found
   * in time. `later`: the present one is too old to tell. `unless`: when it is given up before.
   */
  until<T>(
    find: (snapshot: ClusterSnapshot) => T | undefined | false,
    withinMs: number,
    { later = false, unless }: { later?: boolean; unless?: () => boolean } = {},
  ): Promise<T | undefined> {
    return new Promise((resolve) => {
      const end = (found: T | undefined) => {
        clearTimeout(timer);
        listening.dispose();
        resolve(found);
      };
      const look = (snapshot: ClusterSnapshot | undefined) => {
        const found = snapshot && find(snapshot);
        if (found) end(found);
        else if (unless?.()) end(undefined);
      };
      const timer = setTimeout(() => end(undefined), withinMs);
      const listening = this.onDidChange(look);
      if (!later) look(this.#snapshot);
    });
  }

  dispose(): void {
    this.#holding.abort();
    this.#hurry();
    this.#agent?.close();
    this.#changes.dispose();
    this.#states.dispose();
  }

  #connected(): Agent {
    if (this.#agent) return this.#agent;
    throw this.#problem ?? noCluster(this.#socket);
  }

  #find(): string {
    return findSocket(this.setting() || undefined);
  }

  async #hold(signal: AbortSignal) {
    const pause = new GrowingPause(PAUSES);
    while (!signal.aborted) {
      try {
        this.#socket = this.#find();
        const agent = await dial(this.#socket);
        if (signal.aborted) return agent.close();
        await this.#watch(agent);
        pause.reset();
        this.#enter('connected');
        const why = await agent.closed;
        if (signal.aborted) return;
        this.#agent = undefined;
        this.#enter('lost', clusterLost(this.#socket), why.message);
      } catch (error) {
        if (signal.aborted) return;
        this.#missed(asGodwitError(error));
      }
      await this.#pause(pause.next());
    }
  }

  async #watch(agent: Agent): Promise<void> {
    this.#agent = agent;
    agent.on('cluster', (snapshot) => {
      // Of an agent that was let go something may still be under way.
      if (this.#agent === agent) this.#take(snapshot);
    });
    try {
      await agent.call('cluster.watch', {});
    } catch (error) {
      if (this.#agent === agent) this.#agent = undefined;
      agent.close();
      throw error;
    }
  }

  #take(snapshot: ClusterSnapshot | undefined) {
    this.#snapshot = snapshot;
    this.#changes.fire(snapshot);
  }

  #missed(error: GodwitError) {
    if (error.code === 'not-admitted') this.#enter('refused', notAdmitted(this.#socket));
    else if (error.code !== 'no-agent') this.#enter('refused', error);
    else if (this.#state !== 'lost') this.#enter('none', noCluster(this.#socket), error.message);
  }

  #enter(state: ClusterState, problem?: GodwitError, detail = problem?.message) {
    const before = this.#state;
    this.#state = state;
    this.#problem = problem;
    if (state !== 'connected' && (this.#snapshot || (state === 'refused' && state !== before)))
      this.#take(undefined);
    if (state === before) return;
    this.log.info(`agent at ${this.#socket}: ${state}${detail ? `: ${detail}` : ''}`);
    this.#states.fire(state);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#hurry = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
