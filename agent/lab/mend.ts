/** A lab that is up and has lost something gets it back; what runs in it is not touched. */
import { access } from 'node:fs/promises';
import { answers } from '../joining/answering';
import { type Lab, type LabNode, type LabRequest, nodePaths } from './description';
import { labBroken, labUpAlready } from './errors';
import { makeFiles } from './files';
import { makeNodesFolder } from './namespaces';
import { makeNetwork } from './network';
import { daemonOf, isSupervised, startAgent } from './node';

/** Only what is asked for must be as it is. @throws GodwitError `lab-up` */
export function checkSame(lab: Lab, { nodes, cpus, memory, users, criu }: LabRequest): void {
  const has = lab.nodes.map((node) => node.cpus);
  const room = lab.nodes.map((node) => node.memory);
  const differs = (what: string, is: unknown, asked: unknown) => {
    if (asked !== undefined && `${asked}` !== `${is}`)
      throw labUpAlready(lab.name, `with ${what} ${`${is}` || 'none'}, not ${asked}`);
  };
  differs('nodes:', has.length, nodes);
  differs('CPUs:', has.every((share) => share === undefined) ? '' : has, cpus);
  differs('memory:', room.every((bytes) => bytes === undefined) ? '' : room, memory);
  differs('users:', lab.users, users);
  differs('CRIU:', lab.criu ?? '', criu);
}

/** @throws GodwitError `lab-broken`, `node-did-not-start`, `command-failed` */
export async function mendLab(lab: Lab): Promise<void> {
  for (const { name } of lab.nodes)
    await access(nodePaths(lab.name, name).config).catch(() => {
      throw labBroken(lab.name, `the folder of ${name} has gone`);
    });
  const daemons = await Promise.all(lab.nodes.map(({ name }) => daemonOf(lab.name, name)));
  await makeNodesFolder(lab.name);
  const nodes = lab.nodes.map((node, index) => ({ ...node, process: daemons[index]! }));
  await makeNetwork(lab.name, nodes);
  await Promise.all(nodes.map((node) => mendNode(lab, node)));
}

async function mendNode(lab: Lab, node: LabNode & { process: number | null }): Promise<void> {
  await makeFiles(lab, node, node.process);
  const { agent } = nodePaths(lab.name, node.name);
  // It starts a keeper itself, if there is none.
  if (!(await isSupervised(lab.name, node.name)) || (await answers(agent.socket)) !== 'up')
    await startAgent(lab, node);
}
