/** Nodes that do not answer, said beside a list: what they alone know is not in it. */
import { age } from '../api/figures';
import type { Node } from '../api/model';
import type { Asked } from '../client/lists';
import { complain } from './output';

/** A line on stderr for each, so that --json stays one value. @param hidden what of theirs is not in the list */
export async function complainOfSilent(agent: Asked, hidden: (node: Node) => string): Promise<void> {
  // The list itself was answered, and is what was asked for.
  const { nodes } = await agent.call('nodes.list', {}).catch(() => ({ nodes: [] }));
  for (const node of nodes) {
    if (node.silentMs === undefined) continue;
    complain(`${node.name} has not answered for ${age(node.silentMs)}: ${hidden(node)}`);
  }
}
