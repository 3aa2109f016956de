/** Which agent is asked. */
import { existsSync } from 'node:fs';
import { checkName, nodePaths } from '../lab/description';

/** Where this machine's own agent listens. */
const OWN_SOCKET = '/run/godwit/agent.sock';
const FIRST_NODE = 'node1';

export const labName = (given: string | undefined): string => given ?? (process.env.GODWIT_LAB || 'lab');

/**
 * The agent that was named, else that of the environment, else this machine's own, else that of the lab's first node.
 * @throws GodwitError `bad-lab`
 */
export function findSocket(given: string | undefined): string {
  const { GODWIT_AGENT, GODWIT_LAB } = process.env;
  const named = given ?? GODWIT_AGENT;
  if (named) return named;
  // A lab that was asked for goes before an agent that merely happens to be here.
  if (!GODWIT_LAB && existsSync(OWN_SOCKET)) return OWN_SOCKET;
  const lab = labName(undefined);
  checkName(lab);
  return nodePaths(lab, FIRST_NODE).agent.socket;
}
