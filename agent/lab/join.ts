/**
 * A lab's nodes become a cluster as any machines do: the first begins it, and each other one joins with a token. All of it is
 * done by one process in the first node's network, from where the others reach what a token leads to.
 */
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { DEFAULT_PORT } from '../api/config';
import { parseJson, parseWith } from '../api/schema';
import { withAgent } from '../joining/asking';
import { initCluster } from '../joining/init';
import { joinCluster } from '../joining/join';
import type { NodeRequest } from '../joining/node-settings';
import type { Service } from '../joining/service';
import { runWithin } from '../machine/command';
import { fromWireError, toWireError } from '../wire/envelope';
import { type Lab, type LabNode, nodePaths, readLab } from './description';
import { noSuchLab } from './errors';
import { nodeNamespace } from './namespaces';
import { endAgent, endKeeper, startAgent } from './node';

/** The verb of the command that does it: `godwit lab join`, which people have no use for. */
export const JOIN_VERB = 'join';
/** Longer than an agent may take to start, twice: the first one's start comes before the others'. */
const JOIN_TIMEOUT_MS = 10 * 60_000;
/** Each is used at once; on a machine that does much else an agent takes its time to start. */
const TOKEN_TTL_MS = 15 * 60_000;
/** Others hear of a new member within a second. */
const POLL_MS = 20;

/** What that process prints. */
const Outcome = z.strictObject({ error: z.unknown() });

/** Every node of the lab is up when this returns, and a member in the eyes of all. @throws GodwitError what kept a node back */
export async function joinApart(lab: Lab): Promise<void> {
  const { node, agent } = lab.programs;
  const command = [node, join(dirname(agent), 'godwit.cjs'), 'lab', JOIN_VERB, '--name', lab.name];
  const network = `--net=${nodeNamespace(lab.name, lab.nodes[0]!.name)}`;
  const printed = await runWithin(JOIN_TIMEOUT_MS, 'nsenter', network, ...command);
  const { error } = parseWith(Outcome, parseJson('what it prints', printed), 'what it prints');
  if (error !== null) throw fromWireError(error);
}

/** The work of that process. @returns what it prints */
export async function joinHere(name: string): Promise<z.infer<typeof Outcome>> {
  try {
    const lab = await readLab(name);
    if (!lab) throw noSuchLab(name);
    await joinNodes(lab);
    return { error: null };
  } catch (error) {
    return { error: toWireError(error) };
  }
}

async function joinNodes(lab: Lab): Promise<void> {
  const [first, ...others] = lab.nodes as [LabNode, ...LabNode[]];
  await initCluster(requestOf(lab, first), serviceOf(lab, first));
  const tokens = await tokensOf(lab, first, others.length);
  await allTried(
    others.map((node, index) => joinCluster(tokens[index]!, requestOf(lab, node), serviceOf(lab, node))),
  );
  await Promise.all(lab.nodes.map((node) => untilAllAreKnown(lab, node)));
}

const requestOf = (lab: Lab, { name, address }: LabNode): NodeRequest => {
  const { state, config, agent } = nodePaths(lab.name, name);
  return { name, listen: `${address}:${DEFAULT_PORT}`, state, config, socket: agent.socket };
};

/** In the node's own network and files. */
const serviceOf = (lab: Lab, node: LabNode): Service => ({
  step: () => {},
  start: () => startAgent(lab, node),
  stop: async () => {
    await endAgent(lab.name, node.name);
    await endKeeper(lab.name, node.name);
  },
});

const socketOf = (lab: Lab, { name }: LabNode) => nodePaths(lab.name, name).agent.socket;

function tokensOf(lab: Lab, authority: LabNode, count: number): Promise<string[]> {
  return withAgent(socketOf(lab, authority), async (agent) => {
    const tokens: string[] = [];
    while (tokens.length < count)
      tokens.push((await agent.call('cluster.token', { ttlMs: TOKEN_TTL_MS })).token);
    return tokens;
  });
}

/** That it has joined, another node may hear a moment later. */
function untilAllAreKnown(lab: Lab, node: LabNode): Promise<void> {
  return withAgent(socketOf(lab, node), async (agent) => {
    while ((await agent.call('nodes.list', {})).nodes.length < lab.nodes.length) await sleep(POLL_MS);
  });
}

/** Only when all are done with trying can what they made be taken down. */
export async function allTried<T>(tries: Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(tries);
  return Promise.all(tries);
}
