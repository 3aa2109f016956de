/** This machine is taken out of its cluster. */
import { loadConfig } from '../api/config';
import { asGodwitError } from '../api/errors';
import { withAgent } from './asking';
import { removeNode } from './removal';

/** The authority tells all other nodes before it answers. */
const LEAVE_TIMEOUT_MS = 120_000;

export interface Left {
  name: string;
  /** Members that could not be told, and list it until they hear of it. */
  unheard: string[];
}

/**
 * @param force though there are jobs, or the authority does not answer, or this agent does not
 * @throws GodwitError `has-jobs`, `authority-stays`, `not-joined`, `no-agent`, `node-unreachable`, …
 */
export async function leaveCluster(
  config: string,
  force: boolean,
  step: (what: string) => void,
): Promise<Left> {
  const { name, socket } = await loadConfig(config);
  const unheard = await takeLeave(socket, force);
  step(`the cluster does without ${name}`);
  for (const one of await removeNode(config)) step(one);
  return { name, unheard };
}

async function takeLeave(socket: string, force: boolean): Promise<string[]> {
  try {
    const within = { timeoutMs: LEAVE_TIMEOUT_MS };
    return (await withAgent(socket, (agent) => agent.call('cluster.leave', { force }, within))).unheard;
  } catch (error) {
    if (force && asGodwitError(error).code === 'no-agent') return [];
    throw error;
  }
}
