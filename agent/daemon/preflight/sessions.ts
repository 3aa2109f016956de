/**
 * Sessions whose leader has ended. CRIU gives a process its session by forking it from the leader, or from one that is in
 * that session still, before that one leaves it: it must be above it in the tree of processes. For children of PID 1 it
 * makes such a leader for a moment.
 */
import type { Obstacle } from '../../api/model';
import type { JobProcess } from '../../machine/proc/processes';
import type { NameOf } from './naming';
import { obstacle } from './obstacles';

/** A process in the tree, by its number in the job. */
interface TreeNode {
  inner: number;
  session: number;
  above: TreeNode | null;
}

function treeOf(processes: JobProcess[]): Map<number, TreeNode> {
  const nodes = new Map(
    processes.map(({ pid, inner, session }): [number, TreeNode] => [pid, { inner, session, above: null }]),
  );
  for (const { pid, parent } of processes) nodes.get(pid)!.above = nodes.get(parent) ?? null;
  return nodes;
}

/** Above each of PID 1's children that is in another session comes the leader of that, there or made for a moment. */
function withLeaders(nodes: Map<number, TreeNode>, root: TreeNode): void {
  const made = new Map([...nodes.values()].map((node) => [node.inner, node]));
  for (const node of nodes.values()) {
    const { inner, session, above } = node;
    if (above !== root || session === inner || session === root.session) continue;
    const leader = made.get(session) ?? { inner: session, session, above: root };
    made.set(session, leader);
    node.above = leader;
  }
}

/** Processes that CRIU can't bring back in their sessions. `processes`: PID 1 first. */
export function strandedOf(processes: JobProcess[]): JobProcess[] {
  const nodes = treeOf(processes);
  const root = nodes.get(processes[0]?.pid ?? 0);
  if (!root) return [];
  withLeaders(nodes, root);
  /** In which session a process must have been when it forked another: one at most. */
  const born = new Map<TreeNode, number>();
  return processes.filter(({ pid }) => {
    const { inner, session, above } = nodes.get(pid)!;
    if (session === inner || !above || above.session === session) return false;
    let node: TreeNode | null = above;
    for (; node && node.inner !== session; node = node.above) {
      if ((born.get(node) ?? session) !== session) return true;
      born.set(node, session);
    }
    return node === null;
  });
}

export const sessionObstacles = (processes: JobProcess[], nameOf: NameOf): Obstacle[] =>
  strandedOf(processes).map(({ pid, session }) =>
    obstacle('session-leader', { process: nameOf(pid), session }),
  );
