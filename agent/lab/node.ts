/** A node of a lab: its folder, its namespaces and its daemons, each made where it is missing. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { lastLogLine, waitForAnswer } from '../joining/answering';
import { type Authority, issueCertificate } from '../machine/certificates/authority';
import { endAll } from '../machine/daemons/ending';
import { endSupervised, isSupervised as isSupervisedBy } from '../machine/daemons/supervised';
import { isAlive, readIdentity } from '../machine/proc/identity';
import { readCertificate } from '../wire/tls';
import { agentConfig, cgroupName, type Keys, type Lab, type LabNode, nodePaths } from './description';
import { nodeDidNotStart } from './errors';
import { filesOf, seenFrom } from './files';
import { nodeNamespace } from './namespaces';
import { startApart, startSupervisedApart } from './processes';
import { findController, quotaMembers, setQuota } from './quota';

/** Its folder with its certificate; its name and its key, by which all others know it. */
export async function issueNode(
  lab: Lab,
  { name }: LabNode,
  authority: Authority,
): Promise<readonly [name: string, key: string]> {
  const { state, tls } = nodePaths(lab.name, name);
  // Jobs of any user reach their files through it; what is secret is closed itself.
  await mkdir(state, { mode: 0o755 });
  const { cert } = await issueCertificate(authority, tls, name);
  return [name, readCertificate(await readFile(cert))!.key];
}

/** Writes its daemons' configuration. */
export async function makeNode(lab: Lab, node: LabNode, keys: Keys): Promise<void> {
  const { config } = nodePaths(lab.name, node.name);
  const text = JSON.stringify(agentConfig(await seenFrom(lab, node), node, keys), null, 2);
  await writeFile(config, text, { mode: 0o600 });
}

/** The first keeper of a node; each other one is started by the agent. @throws GodwitError `node-did-not-start` */
export async function startKeeper(lab: Lab, node: LabNode): Promise<void> {
  const { keeper } = nodePaths(lab.name, node.name);
  await startApart(await startOf(lab, node, 'keeper'));
  await untilItAnswers(node, 'keeper', keeper);
}

/** Ends a node's agent, if there is one, and starts it. @throws GodwitError `node-did-not-start` */
export async function startAgent(lab: Lab, node: LabNode): Promise<void> {
  const { agent } = nodePaths(lab.name, node.name);
  await endSupervised(agent);
  const start = await startOf(lab, node, 'agent');
  await startSupervisedApart({ ...start, supervisorFile: agent.supervisorFile });
  await untilItAnswers(node, 'agent', agent);
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

async function startOf(lab: Lab, node: LabNode, part: 'agent' | 'keeper') {
  const paths = nodePaths(lab.name, node.name);
  const { log, pidFile } = paths[part];
  const { programs } = await seenFrom(lab, node);
  const argv: [string, ...string[]] = [programs.node, programs[part], paths.config];
  const network = nodeNamespace(lab.name, node.name);
  return { network, files: filesOf(lab.name, node), join: await quotaOf(lab, node), argv, log, pidFile };
}

async function quotaOf(lab: Lab, { name, cpus }: LabNode): Promise<string | null> {
  if (cpus === undefined) return null;
  const [controller, cgroup] = [await findController(), cgroupName(lab.name, name)];
  await setQuota(controller, cgroup, cpus);
  return quotaMembers(controller, cgroup);
}

interface Daemon {
  socket: string;
  log: string;
  pidFile: string;
}

async function untilItAnswers(
  { name }: LabNode,
  part: string,
  { socket, log, pidFile }: Daemon,
): Promise<void> {
  const why = await waitForAnswer(socket, async () => {
    const identity = await readIdentity(pidFile);
    return identity && !(await isAlive(identity)) ? 'it ended without a message' : null;
  });
  if (why !== null) throw nodeDidNotStart(name, part, (await lastLogLine(log)) || why);
}
