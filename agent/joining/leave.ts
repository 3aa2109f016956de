/** This machine is taken out of its cluster. */
import { clientContract } from '../api/client-contract';
import { loadConfig } from '../api/config';
import { asGodwitError } from '../api/errors';
import { connectUnix } from '../wire/client';
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
    const agent = await connectUnix(socket, { name: 'godwit', kind: 'client', contract: clientContract });
    try {
      return (await agent.call('cluster.leave', { force }, { timeoutMs: LEAVE_TIMEOUT_MS })).unheard;
    } finally {
      agent.close();
    }
  } catch (error) {
    if (force && asGodwitError(error).code === 'no-agent') return [];
    throw error;
  }
}
