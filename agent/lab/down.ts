/** Taking a lab down, also one of which only a part is left. */
import { endAll, killAll } from '../machine/daemons/ending';
import { endSupervised } from '../machine/daemons/supervised';
import { removeMounted } from '../machine/homefs/removal';
import { isAlive, readIdentity } from '../machine/proc/identity';
import { findNodeCgroups, killNode, removeNode } from './cgroups';
import { isCgroupOf, labFolder, nodePaths, readLab } from './description';
import { findNamespaces, formerNames, networkOf, processesIn } from './namespaces';
import { removeGroups } from './quota';

/**
 * Ends every process of the lab and removes all that was made for it. Parts that are gone already are passed over; what
 * others have mounted over the lab's folder, or put into its cgroups, is no obstacle.
 * @throws GodwitError `will-not-end`, `still-mounted`, `cannot-remove`; done again, it goes on from there
 */
export async function removeLab(name: string): Promise<void> {
  const networks = await networksOf(name);
  const cgroups = await findNodeCgroups(isCgroupOf(name));
  // Agents and keepers first: they would take the end of a job for news.
  for (const { agent, keeper } of await daemonsOf(name)) {
    await endSupervised(agent);
    await endAll([await readIdentity(keeper.pidFile)]);
  }
  for (const node of cgroups) await killNode(node);
  await killAll(() => processesIn(networks));
  for (const node of cgroups) await removeNode(node);
  await removeGroups(isCgroupOf(name));
  await removeMounted('tree', [labFolder(name), ...(await formerNames(name))]);
}

/** Whether anything of it lives: after a reboot there is but a folder. */
export async function isAlight(name: string): Promise<boolean> {
  return (await networksOf(name)).length > 0;
}

/** The network namespaces that have a name, and those of its daemons: a name may have been taken away. */
async function networksOf(name: string): Promise<string[]> {
  const named = (await findNamespaces(name)).map(({ namespace }) => namespace);
  const files = (await daemonsOf(name)).flatMap(({ agent, keeper }) => [agent.pidFile, keeper.pidFile]);
  const daemons = (await Promise.all(files.map(readIdentity))).filter((identity) => identity !== null);
  const alive = await Promise.all(
    daemons.map(async (one) => ((await isAlive(one)) ? networkOf(one.pid) : '')),
  );
  return [...new Set([...named, ...alive])].filter((namespace) => namespace.startsWith('net:'));
}

const daemonsOf = async (name: string) =>
  ((await readLab(name))?.nodes ?? []).map((node) => nodePaths(name, node.name));
