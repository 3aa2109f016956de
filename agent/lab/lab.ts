/** A cluster on one machine: each node a network namespace with a real agent and a real keeper. */
import { access, mkdir, stat, writeFile } from 'node:fs/promises';
import { noSuchNode } from '../api/errors';
import {
  checkName,
  describe,
  type Lab,
  type LabNode,
  type LabRequest,
  labFile,
  labFolder,
  labsFolder,
  readLab,
  subnetsInUse,
  wholeFile,
} from './description';
import { isAlight, removeLab } from './down';
import { labBroken, labUpAlready, noProgram, noSuchLab, notRoot } from './errors';
import { makeFiles } from './files';
import { allTried, joinApart } from './join';
import { withLock } from './lock';
import { checkSame, mendLab } from './mend';
import { formerNames, makeNodesFolder } from './namespaces';
import { makeNetwork, switchLink } from './network';
import { endAgent, endKeeper, makeNode, startAgent } from './node';
import { findController } from './quota';
import { type LabStatus, labStatus } from './status';
import { freeSubnet } from './subnet';

export type { LabRequest, Programs } from './description';
export { type LabStatus, labStatus } from './status';

/**
 * Makes a lab and returns when every agent answers. On any failure all that was made is taken down again; what a
 * reboot, or a making that was broken off, has left of an earlier lab is removed first. One that is up already is the
 * answer as it is, after what it has lost has been mended; its jobs run on.
 * @throws GodwitError `lab-up` if it is another than was asked for, `lab-broken`, `lab-busy`, `bad-lab`, `not-root`,
 *   `no-program`, `no-cpu-quota`, `node-did-not-start`, `command-failed`, `socket-path-too-long`
 */
export async function labUp(request: LabRequest): Promise<LabStatus> {
  const { name } = describe(request, '');
  await checkPossible(request);
  return withLock(name, async () => {
    if (await isUp(name)) await mend(request, name);
    else await makeAnew(request, name);
    return labStatus({ name });
  });
}

/** Ends all of the lab's processes and removes all that was made for it. A lab that isn't there is no error. */
export async function labDown({ name = 'lab' }: { name?: string | undefined } = {}): Promise<void> {
  checkName(name);
  checkRoot();
  await withLock(name, () => removeLab(name));
}

/** Ends a node's agent as a crash would, its keeper and jobs staying; it stays away until `restartAgent`. */
export async function killAgent(name: string, node: string): Promise<void> {
  await findNode(name, node);
  await endAgent(name, node);
}

/** Ends a node's agent, if it runs, and starts it again; returns when it answers. */
export async function restartAgent(name: string, node: string): Promise<void> {
  const { lab, labNode } = await findNode(name, node);
  await startAgent(lab, labNode);
}

/** Ends a node's keeper as a crash would; its agent starts another. */
export async function killKeeper(name: string, node: string): Promise<void> {
  await findNode(name, node);
  await endKeeper(name, node);
}

/** Takes a node's cable out of the bridge, or puts it back: what is sent meanwhile is lost, and no connection ends. */
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

/** Jobs can only be on one that was whole once; of another nothing is kept. */
async function isUp(name: string): Promise<boolean> {
  if (!(await isAlight(name))) return false;
  if ((await formerNames(name)).length > 0) throw labUpAlready(name, 'made by an earlier version of Godwit');
  const lab = await readLab(name);
  if (!lab) throw labBroken(name, `${labFile(name)} has gone, or something is mounted over it`);
  return access(wholeFile(name)).then(
    () => true,
    () => false,
  );
}

async function mend(request: LabRequest, name: string): Promise<void> {
  const lab = (await readLab(name))!;
  checkSame(lab, request);
  await mendLab(lab);
}

async function makeAnew(request: LabRequest, name: string): Promise<void> {
  await removeLab(name);
  try {
    await make(describe(request, await freeSubnet(await subnetsInUse())));
  } catch (error) {
    await removeLab(name);
    throw error;
  }
}

async function make(lab: Lab): Promise<void> {
  await mkdir(labsFolder(), { recursive: true, mode: 0o755 });
  await mkdir(labFolder(lab.name), { mode: 0o755 });
  await writeFile(labFile(lab.name), JSON.stringify(lab, null, 2), { mode: 0o644 });
  await makeNodesFolder(lab.name);
  await makeNetwork(
    lab.name,
    lab.nodes.map((node) => ({ ...node, process: null })),
  );
  await allTried(
    lab.nodes.map(async (node) => {
      await makeNode(lab, node);
      await makeFiles(lab, node, null);
    }),
  );
  await joinApart(lab);
  await writeFile(wholeFile(lab.name), '', { mode: 0o644 });
}
