import type { Log } from '../../log';
import type { Members } from './members';
import type { Peers } from './peers';
import { ClusterWatch } from './watch';

/** A home asks its jobs' hosts, each of which may be gone. */
const VIEW_TIMEOUT_MS = 5_000;

/** Asks every node, this one included, on behalf of those who watch. @param mostOfOne connections of one user that do */
export const watchOver = (peers: Peers, members: Members, mostOfOne: number, log: Log): ClusterWatch =>
  new ClusterWatch(
    {
      get names() {
        return peers.names;
      },
      list: () => members.list(),
      view: (home) => peers.call(home, 'home.view', {}, { timeoutMs: VIEW_TIMEOUT_MS }),
      changed: async (node, seen, signal) =>
        (await peers.call(node, 'node.changed', { seen }, { signal })).seen,
    },
    log,
    mostOfOne,
  );
