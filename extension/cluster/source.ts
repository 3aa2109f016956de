/** What the editor's parts may know of the cluster: the latest snapshot, and a way to ask. */
import type { Duplex } from 'node:stream';
import type { Event } from 'vscode';
import type { ClientContract } from '../../agent/api/client-contract';
import type { ClusterSnapshot } from '../../agent/api/client-events';
import type { CallOptions, Method, Result, SentParams } from '../../agent/api/contract';
import type { GodwitError } from '../../agent/api/errors';

export interface ClusterSource {
  /** Undefined while no agent answers. */
  readonly snapshot: ClusterSnapshot | undefined;
  /** Why an agent that is there can't be asked. */
  readonly refusal: GodwitError | undefined;
  /** Each snapshot as it comes, and undefined when the agent is lost, or refuses. */
  readonly onDidChange: Event<ClusterSnapshot | undefined>;
  /** @throws GodwitError `no-agent`, `connection-lost`, and whatever the agent refuses */
  call<M extends Method<ClientContract>>(
    method: M,
    params: SentParams<ClientContract, M>,
    options?: CallOptions,
  ): Promise<Result<ClientContract, M>>;
  /** Opens the stream that a ticket stands for. @throws GodwitError `ticket-refused`, `no-agent` */
  openStream(ticket: string): Promise<Duplex>;
}
