/** A node of a lab: its folder, its namespaces and its daemons, each made where it is missing. */
import { mkdir, writeFile } from 'node:fs/promises';
import { lastLogLine, waitForAnswer } from '../joining/answering';
import { endAll } from '../machine/daemons/ending';
import {
  endSupervised,
  isSupervised as isSupervisedBy,
  type Supervised,
  startSupervised,
} from '../machine/daemons/supervised';
import { isAlive, readIdentity } from '../machine/proc/identity';
import { cgroupName, type Lab, type LabNode, nodePaths, settingsOf } from './description';
import { nodeDidNotStart } from './errors';
import { filesOf, seenFrom } from './files';
import { nodeNamespace } from './namespaces';
import { findController, quotaMembers, setQuota } from './quota';

/** Its folder, and in it what it is set to before it is of a cluster. */
export async function makeNode(lab: Lab, node: LabNode): Promise<void> {
  const { state, config } = nodePaths(lab.name, node.name);
  // Jobs of any user reach their files through it; what is secret is closed itself.
  await mkdir(state, { mode: 0o755 });
  const settings = settingsOf(await seenFrom(lab, node), node);
  await writeFile(config, JSON.stringify(settings, null, 2), { mode: 0o600 });
}

/** Ends a node's agent, if there is one, and starts it. @throws GodwitError `node-did-not-start` */
export async function startAgent(lab: Lab, node: LabNode): Promise<void> {
  const { agent } = nodePaths(lab.name, node.name);
  await endSupervised(agent);
  await startSupervised(await startOf(lab, node));
  await untilItAnswers(node, agent);
}

/** Ends a node's agent as a crash would, its keeper and jobs staying; it stays away until it is started. */
export const endAgent = (lab: string, node: string) => endSupervised(nodePaths(lab, node).agent);

/** Ends a node's keeper as a crash would; its agent starts another. */
export const endKeeper = async (lab: string, node: string) =>
  endAll([await readIdentity(nodePaths(lab, node).keeper.pidFile)]);

/** Whether its agent is started again when it ends. */
export const isSupervised = (lab: string, node: string): Promise<boolean> =>
  isSupervisedBy(nodePaths(lab, node).agent.supervisorFile);

/** A living process of its daemons, null if there is none. */
export async function daemonOf(lab: string, node: string): Promise<number | null> {
  const { agent, keeper } = nodePaths(lab, node);
  for (const { pidFile } of [agent, keeper]) {
    const identity = await readIdentity(pidFile);
    if (identity && (await isAlive(identity))) return identity.pid;
  }
  return null;
}

/**
 * A daemon like any node's, in the network, the files and the quota of its own. nsenter(1) becomes the program, so the number
 * stays; unlike `ip netns exec` it leaves the mounts alone.
 */
async function startOf(lab: Lab, node: LabNode): Promise<Supervised> {
  const { config, agent } = nodePaths(lab.name, node.name);
  const { programs } = await seenFrom(lab, node);
  const files = filesOf(lab.name, node);
  const network = `--net=${nodeNamespace(lab.name, node.name)}`;
  return {
    ...agent,
    within: ['nsenter', network, ...(files ? [`--mount=${files}`] : [])],
    join: await quotaOf(lab, node),
    argv: [programs.node, programs.agent, config],
  };
}

async function quotaOf(lab: Lab, { name, cpus }: LabNode): Promise<string | null> {
  if (cpus === undefined) return null;
  const [controller, cgroup] = [await findController(), cgroupName(lab.name, name)];
  await setQuota(controller, cgroup, cpus);
  return quotaMembers(controller, cgroup);
}

type Agent = ReturnType<typeof nodePaths>['agent'];

async function untilItAnswers({ name }: LabNode, { socket, log, pidFile }: Agent): Promise<void> {
  const why = await waitForAnswer(socket, async () => {
    const identity = await readIdentity(pidFile);
    return identity && !(await isAlive(identity)) ? 'it ended without a message' : null;
  });
  if (why !== null) throw nodeDidNotStart(name, (await lastLogLine(log)) || why);
}
