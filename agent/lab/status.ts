/** Which agents of a lab answer the user who asks. */
import { notAdmitted } from '../api/errors';
import { answers, lastLogLine } from '../joining/answering';
import { checkName, doorOf, nodePaths, readLab } from './description';

export interface LabStatus {
  nodes: {
    name: string;
    address: string;
    /** The socket at which the caller reaches it. */
    socket: string;
    state: 'up' | 'down';
    /** The last line of its log, where it is down and has left one. */
    why?: string;
  }[];
}

/**
 * The lab's nodes, none if it isn't up. A node is `up` when its agent answers.
 * @throws GodwitError `bad-lab`, `not-admitted` if the caller may ask none of them
 */
export async function labStatus({ name = 'lab' }: { name?: string | undefined } = {}): Promise<LabStatus> {
  checkName(name);
  const lab = await readLab(name);
  const asked = (lab?.nodes ?? []).map(async (node) => {
    const { agent, userSockets } = nodePaths(name, node.name);
    const socket = doorOf(agent.socket, userSockets);
    const answer = await answers(socket);
    const why = answer === 'down' ? await lastLogLine(agent.log) : '';
    return { node: { name: node.name, address: node.address, socket, ...(why ? { why } : {}) }, answer };
  });
  const all = await Promise.all(asked);
  if (all.length > 0 && all.every(({ answer }) => answer === 'refused'))
    throw notAdmitted(all[0]!.node.socket);
  // Who is admitted has no socket of their own where the agent is away since it was started.
  return { nodes: all.map(({ node, answer }) => ({ ...node, state: answer === 'up' ? 'up' : 'down' })) };
}
