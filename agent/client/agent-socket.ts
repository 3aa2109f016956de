/** Which agent is asked. */
import { existsSync } from 'node:fs';
import { checkName, doorOf, nodePaths } from '../lab/description';

/** Where this machine's own agent listens. */
const OWN_SOCKET = '/run/godwit/agent.sock';
/** And its sockets for users other than root. */
const USER_SOCKETS = '/run/godwit/user';
const FIRST_NODE = 'node1';

export const labName = (given: string | undefined): string => given ?? (process.env.GODWIT_LAB || 'lab');

/**
 * The agent that was named, else that of the environment, else this machine's own, else that of the lab's first node;
 * the latter two by the socket of the user who asks.
 * @throws GodwitError `bad-lab`
 */
export function findSocket(given: string | undefined): string {
  const { GODWIT_AGENT, GODWIT_LAB } = process.env;
  const named = given ?? GODWIT_AGENT;
  if (named) return named;
  const own = doorOf(OWN_SOCKET, USER_SOCKETS);
  // A lab that was asked for goes before an agent that merely happens to be here.
  if (!GODWIT_LAB && existsSync(own)) return own;
  const lab = labName(undefined);
  checkName(lab);
  const { agent, userSockets } = nodePaths(lab, FIRST_NODE);
  return doorOf(agent.socket, userSockets);
}
