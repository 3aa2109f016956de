/** Taking a lab down, whatever is left of it. */
import { rm } from 'node:fs/promises';
import { isAlive, readIdentity } from '../freezer/identity';
import { findNodeCgroups, killNode, removeNode } from './cgroups';
import { isCgroupOf, labFolder, nodePaths, readLab } from './description';
import { unmountBelow } from './mounts';
import { findNamespaces, processesIn, removeNamespace } from './network';
import { killAll } from './processes';
import { removeGroups } from './quota';

/**
 * Ends every process of the lab and removes all that was made for it. Parts that are gone already are passed over.
 * @throws GodwitError `will-not-end`, `still-mounted`; done again, it goes on from there
 */
export async function removeLab(name: string): Promise<void> {
  const namespaces = await findNamespaces(name);
  const cgroups = await findNodeCgroups(isCgroupOf(name));
  const daemons = await recordedDaemons(name);
  // Agents and keepers first: they would take the end of a job for news.
  await killAll(async () => (await Promise.all(daemons.map(alivePid))).filter((pid) => pid !== null));
  for (const node of cgroups) await killNode(node);
  await killAll(() => processesIn(namespaces));
  const folder = labFolder(name);
  await unmountBelow(folder);
  for (const namespace of namespaces) await removeNamespace(namespace);
  for (const node of cgroups) await removeNode(node);
  await removeGroups(isCgroupOf(name));
  // Looked at again at the last moment: through a mount of `/` this would remove the machine.
  await unmountBelow(folder);
  await rm(folder, { recursive: true, force: true });
}

async function recordedDaemons(name: string) {
  const nodes = (await readLab(name))?.nodes ?? [];
  const files = nodes.flatMap((node) => {
    const { agent, keeper } = nodePaths(name, node.name);
    return [agent.pidFile, keeper.pidFile];
  });
  return (await Promise.all(files.map(readIdentity))).filter((identity) => identity !== null);
}

const alivePid = async (identity: { pid: number; started: string }) =>
  (await isAlive(identity)) ? identity.pid : null;
