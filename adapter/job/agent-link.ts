/** A session's connection with the agent: watches the cluster, and is made anew when the agent restarts. */
import { EventEmitter } from 'node:events';
import type { ClientContract } from '../../agent/api/client-contract';
import type { ClusterSnapshot } from '../../agent/api/client-events';
import type { CallOptions, Method, Result, SentParams } from '../../agent/api/contract';
import { asGodwitError, type GodwitError } from '../../agent/api/errors';
import { GrowingPause } from '../../agent/api/retry';
import { type Agent, dial } from '../../agent/client/agent';
import { agentGone } from '../../agent/client/errors';

/** Between two attempts to reach an agent that is away: mostly it restarts, which takes a second or two. */
const PAUSES = { firstMs: 100, mostMs: 2_000 };

interface AgentLinkEvents {
  snapshot: [ClusterSnapshot];
  /** The connection was lost; it is tried again. */
  away: [];
  back: [];
  /** It has not come back in time. Nothing follows. */
  gone: [GodwitError];
}

export class AgentLink extends EventEmitter<AgentLinkEvents> {
  private closed = false;

  private constructor(
    readonly socket: string,
    private readonly patienceMs: number,
    private agent: Agent,
  ) {
    super();
  }

  /** @throws GodwitError `no-agent`, `not-admitted`, `wrong-version` */
  static async open(socket: string, patienceMs: number): Promise<AgentLink> {
    const link = new AgentLink(socket, patienceMs, await dial(socket));
    void link.keep();
    return link;
  }

  call<M extends Method<ClientContract>>(
    method: M,
    params: SentParams<ClientContract, M>,
    options?: CallOptions,
  ): Promise<Result<ClientContract, M>> {
    return this.agent.call(method, params, options);
  }

  /** Snapshots come from now on, over every connection. */
  async watch(): Promise<void> {
    this.listen(this.agent);
    await this.agent.call('cluster.watch', {});
  }

  close(): void {
    this.closed = true;
    this.removeAllListeners();
    this.agent.close();
  }

  private listen(agent: Agent): void {
    agent.on('cluster', (snapshot) => this.emit('snapshot', snapshot));
  }

  private async keep(): Promise<void> {
    for (;;) {
      await this.agent.closed;
      if (this.closed) return;
      this.emit('away');
      try {
        this.agent = await this.reach();
      } catch (error) {
        if (!this.closed) this.emit('gone', asGodwitError(error));
        return;
      }
      if (this.closed) return this.agent.close();
      this.emit('back');
    }
  }

  private async reach(): Promise<Agent> {
    const deadline = performance.now() + this.patienceMs;
    const pause = new GrowingPause(PAUSES);
    for (;;) {
      await pause.wait();
      let agent: Agent | undefined;
      try {
        agent = await dial(this.socket);
        this.listen(agent);
        await agent.call('cluster.watch', {});
        return agent;
      } catch (error) {
        agent?.close();
        if (this.closed || performance.now() > deadline)
          throw agentGone(this.socket, Math.round(this.patienceMs / 1000), (error as Error).message);
      }
    }
  }
}
