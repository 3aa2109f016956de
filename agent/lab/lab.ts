/** A cluster on one machine: each node a network namespace with a real agent and a real keeper. */
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectUnix } from '../api/client';
import { noSuchNode } from '../api/errors';
import { readCertificate } from '../api/tls';
import { type Identity, isAlive, readIdentity } from '../freezer/identity';
import { type Authority, issueCertificate, makeAuthority } from './certificates';
import {
  agentConfig,
  authorityFolder,
  cgroupName,
  checkName,
  describe,
  type Keys,
  type Lab,
  type LabNode,
  type LabRequest,
  labFile,
  labFolder,
  labsFolder,
  nodePaths,
  readLab,
  subnetsInUse,
} from './description';
import { removeLab } from './down';
import { labUpAlready, nodeDidNotStart, noProgram, noSuchLab, notRoot } from './errors';
import { filesOf, makeFiles, makeNodesFolder, seenFrom } from './files';
import { withLock } from './lock';
import { boundOf, findNamespaces, freeSubnet, makeNetwork, nodeNamespace, switchLink } from './network';
import { killAll, startApart } from './processes';

import { findController, setQuota, underQuota } from './quota';

export type { LabRequest, Programs } from './description';

/** Starting Node and opening a journal take a second; on a machine that does much else, many. */
const START_DEADLINE_MS = 60_000;
const POLL_MS = 20;
/** How long a node that is up may take to say so. */
const STATUS_TIMEOUT_MS = 1_000;

export interface LabStatus {
  nodes: { name: string; address: string; socket: string; state: 'up' | 'down' }[];
}

/**
 * Makes a lab and returns when every agent answers. Whatever fails, all that was made is taken down again; what a
 * reboot has left of an earlier lab is removed first.
 * @throws GodwitError `lab-up`, `lab-busy`, `bad-lab`, `not-root`, `no-program`, `no-cpu-quota`, `node-did-not-start`,
 *   `command-failed`, `socket-path-too-long`
 */
export async function labUp(request: LabRequest): Promise<LabStatus> {
  const { name } = describe(request, '');
  await checkPossible(request);
  return withLock(name, async () => {
    if (await isUp(name)) throw labUpAlready(name);
    await removeLab(name);
    try {
      await make(describe(request, await freeSubnet(await subnetsInUse())));
      return await labStatus({ name });
    } catch (error) {
      await removeLab(name);
      throw error;
    }
  });
}

/** Ends all of the lab's processes and removes all that was made for it. A lab that isn't there is no error. */
export async function labDown({ name = 'lab' }: { name?: string | undefined } = {}): Promise<void> {
  checkName(name);
  checkRoot();
  await withLock(name, () => removeLab(name));
}

/** The lab's nodes, none if it isn't up. A node is `up` when its agent answers. */
export async function labStatus({ name = 'lab' }: { name?: string | undefined } = {}): Promise<LabStatus> {
  checkName(name);
  const lab = await readLab(name);
  const nodes = (lab?.nodes ?? []).map(async (node) => {
    const { socket } = nodePaths(name, node.name).agent;
    const state: 'up' | 'down' = (await answers(socket)) ? 'up' : 'down';
    return { name: node.name, address: node.address, socket, state };
  });
  return { nodes: await Promise.all(nodes) };
}

/** Ends a node's agent as a crash would, its keeper and jobs staying. */
export async function killAgent(name: string, node: string): Promise<void> {
  await findNode(name, node);
  await killDaemon(name, node, 'agent');
}

/** Ends a node's agent, if it runs, and starts it again; returns when it answers. */
export async function restartAgent(name: string, node: string): Promise<void> {
  const { lab, labNode } = await findNode(name, node);
  await killDaemon(name, node, 'agent');
  await startDaemon(lab, labNode, 'agent');
}

/** Ends a node's keeper as a crash would; its agent starts another. */
export async function killKeeper(name: string, node: string): Promise<void> {
  await findNode(name, node);
  await killDaemon(name, node, 'keeper');
}

/** Takes a node's cable out of the bridge, or puts it back: what is sent meanwhile is lost, no connection is told. */
export async function setLink(name: string, node: string, state: 'up' | 'down'): Promise<void> {
  await findNode(name, node);
  await switchLink(name, node, state);
}

async function findNode(name: string, node: string): Promise<{ lab: Lab; labNode: LabNode }> {
  const lab = await readLab(name);
  if (!lab) throw noSuchLab(name);
  const labNode = lab.nodes.find((known) => known.name === node);
  if (!labNode)
    throw noSuchNode(
      node,
      lab.nodes.map((known) => known.name),
    );
  return { lab, labNode };
}

function checkRoot(): void {
  if (process.getuid?.() !== 0) throw notRoot();
}

async function checkPossible({ programs, cpus }: LabRequest): Promise<void> {
  checkRoot();
  for (const path of Object.values(programs))
    await stat(path).catch(() => {
      throw noProgram(path);
    });
  if (cpus) await findController();
}

/** A lab is up while its network is there; a folder alone is what a reboot leaves. */
const isUp = async (name: string) => (await boundOf(await findNamespaces(name))).length > 0;

async function make(lab: Lab): Promise<void> {
  await mkdir(labsFolder(), { recursive: true, mode: 0o755 });
  await mkdir(labFolder(lab.name), { mode: 0o755 });
  await writeFile(labFile(lab.name), JSON.stringify(lab, null, 2), { mode: 0o644 });
  await makeNetwork(lab.name, lab.nodes);
  await makeNodesFolder(lab);
  const authority = await makeAuthority(authorityFolder(lab.name), lab.name);
  const keys = await issueAll(lab, authority);
  await allTried(lab.nodes.map((node) => startNode(lab, node, keys)));
}

/** Only when all are done with trying can what they made be taken down. */
async function allTried<T>(tries: Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(tries);
  return Promise.all(tries);
}

/** Each node's certificate; the keys, by which each node knows all others. */
async function issueAll(lab: Lab, authority: Authority): Promise<Keys> {
  const issued = lab.nodes.map(async ({ name }) => {
    const { state, tls } = nodePaths(lab.name, name);
    // Jobs of any user reach their files through it; what is secret is closed itself.
    await mkdir(state, { mode: 0o755 });
    const { cert } = await issueCertificate(authority, tls, name);
    return [name, readCertificate(await readFile(cert))!.key] as const;
  });
  return new Map(await allTried(issued));
}

async function startNode(lab: Lab, node: LabNode, keys: Keys): Promise<void> {
  await makeNode(lab, node, keys);
  await makeFiles(lab, node);
  await startDaemon(lab, node, 'keeper');
  await startDaemon(lab, node, 'agent');
}

async function makeNode(lab: Lab, node: LabNode, keys: Keys): Promise<void> {
  const { config } = nodePaths(lab.name, node.name);
  const text = JSON.stringify(agentConfig(await seenFrom(lab, node), node, keys), null, 2);
  await writeFile(config, text, { mode: 0o600 });
  if (node.cpus !== undefined)
    await setQuota(await findController(), cgroupName(lab.name, node.name), node.cpus);
}

type Part = 'agent' | 'keeper';

async function startDaemon(lab: Lab, node: LabNode, part: Part): Promise<void> {
  const paths = nodePaths(lab.name, node.name);
  const { socket, log, pidFile } = paths[part];
  const { programs } = await seenFrom(lab, node);
  const identity = await startApart({
    namespace: nodeNamespace(lab.name, node.name),
    files: filesOf(lab.name, node),
    argv: [programs.node, programs[part], paths.config],
    log,
    pidFile,
  });
  if (node.cpus !== undefined)
    await underQuota(await findController(), cgroupName(lab.name, node.name), identity.pid);
  const why = await waitForAnswer(socket, identity);
  if (why) throw nodeDidNotStart(node.name, part, (await lastWords(log)) || why);
}

/** Returns why there is none. */
async function waitForAnswer(socket: string, identity: Identity): Promise<string | undefined> {
  const deadline = performance.now() + START_DEADLINE_MS;
  while (!(await answers(socket))) {
    if (!(await isAlive(identity))) return 'it ended without a word';
    if (performance.now() > deadline) return `it does not answer after ${START_DEADLINE_MS} ms`;
    await sleep(POLL_MS);
  }
  return undefined;
}

/** The hello alone is asked for: whoever gives it is there. */
async function answers(socket: string): Promise<boolean> {
  try {
    const options = { name: 'lab', kind: 'client', contract: {}, timeoutMs: STATUS_TIMEOUT_MS } as const;
    const remote = await connectUnix(socket, options);
    remote.close();
    return true;
  } catch {
    return false;
  }
}

async function lastWords(log: string): Promise<string> {
  const text = await readFile(log, 'utf8').catch(() => '');
  return text.trim().split('\n').at(-1) ?? '';
}

async function killDaemon(name: string, node: string, part: Part): Promise<void> {
  const identity = await readIdentity(nodePaths(name, node)[part].pidFile);
  if (!identity) return;
  await killAll(async () => ((await isAlive(identity)) ? [identity.pid] : []));
}
