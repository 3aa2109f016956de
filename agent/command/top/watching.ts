/** The cluster as an agent tells of it, through the agent's restarts. */
import type { ClusterSnapshot } from '../../api/client-events';
import { GrowingPause } from '../../api/retry';
import { dial } from '../../client/agent';

const PAUSES = { firstMs: 100, mostMs: 2_000 };

export interface Watching {
  shows: (snapshot: ClusterSnapshot) => void;
  /** No agent answers, and is asked again. */
  away: (why: string) => void;
}

/** Until `signal` is aborted. */
export async function watchCluster(socket: string, signal: AbortSignal, told: Watching): Promise<void> {
  const pause = new GrowingPause(PAUSES);
  while (!signal.aborted) {
    try {
      const agent = await dial(socket);
      const close = () => agent.close();
      signal.addEventListener('abort', close, { once: true });
      agent.on('cluster', told.shows);
      await agent.call('cluster.watch', {});
      pause.reset();
      told.away((await agent.closed).message);
      signal.removeEventListener('abort', close);
    } catch (error) {
      told.away((error as Error).message);
    }
    if (!signal.aborted) await pause.wait(signal);
  }
}
