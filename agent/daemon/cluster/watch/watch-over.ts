import type { Log } from '../../../log';
import type { Members } from '../members';
import type { Peers } from '../peers';
import { ClusterWatch } from './watch';

/** A home asks its jobs' hosts, each of which may be gone. */
const VIEW_TIMEOUT_MS = 5_000;
/**
 * In a cluster of more nodes than this only this node is followed: a call would be open to each of the others. What they
 * gossip is a few seconds old, and costs the same in any cluster.
 */
const MOST_FOLLOWED = 32;

/**
 * Asks the nodes, this one included, on behalf of those who watch.
 * @param own this node's name
 * @param mostOfOne connections of one user that do
 */
export function watchOver(
  own: string,
  peers: Peers,
  members: Members,
  mostOfOne: number,
  log: Log,
): ClusterWatch {
  return new ClusterWatch(
    {
      get names() {
        return peers.names;
      },
      get followed() {
        const { names } = peers;
        return names.length <= MOST_FOLLOWED ? names : [own];
      },
      get down() {
        return members.down;
      },
      mark: (node) => members.mark(node),
      list: () => members.list(),
      view: (home) => peers.call(home, 'home.view', {}, { timeoutMs: VIEW_TIMEOUT_MS }),
      changed: async (node, seen, signal) =>
        (await peers.call(node, 'node.changed', { seen }, { signal })).seen,
    },
    log,
    mostOfOne,
  );
}
