/** What a lab is: its name, its nodes and where all of it is kept. */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type AgentConfig, LEAST_MEMORY } from '../api/config';
import { size } from '../api/figures';
import { NodeName } from '../api/model';
import { checkSocketPath } from '../wire/endpoint';
import { badLab } from './errors';
import { jobAddresses, NODE_BRIDGE, nodeAddress } from './subnet';

const LABS = '/var/lib/godwit/labs';
/** More agents than this are no help on one machine; a bridge in one namespace takes far more. */
const MAX_NODES = 32;
/** The smallest quota that the kernel takes is a hundredth of its usual period. */
const MIN_CPUS = 0.01;

/** Node 24 or newer, and the two programs that it runs for each node. */
export const Programs = z.object({ node: z.string(), agent: z.string(), keeper: z.string() });
export type Programs = z.infer<typeof Programs>;

export const LabNode = z.object({
  name: NodeName,
  address: z.string(),
  cpus: z.number().optional(),
  /** Bytes. */
  memory: z.int().optional(),
  /** Whose `/home`, `/tmp` and the like it sees: the machine's, or empty ones of its own. */
  files: z.enum(['machine', 'private']),
});
export type LabNode = z.infer<typeof LabNode>;

/** Kept in the lab's folder as lab.json. */
export const Lab = z.object({
  name: z.string(),
  subnet: z.string(),
  programs: Programs,
  criu: z.string().optional(),
  users: z.array(z.string()).default([]),
  nodes: z.array(LabNode).min(1),
});
export type Lab = z.infer<typeof Lab>;

export interface LabRequest {
  name?: string | undefined;
  nodes?: number | undefined;
  /** CPUs of each node, fractions allowed; without it each may use all. */
  cpus?: number[] | undefined;
  /** Bytes that the jobs of each node may use together; without it all of the machine's. */
  memory?: number[] | undefined;
  programs: Programs;
  criu?: string | undefined;
  /** Who may ask its agents besides root and the members of the group godwit. */
  users?: string[] | undefined;
}

/** The socket of one user in the folder of them all. */
export const userSocket = (folder: string, uid: number) => join(folder, `${uid}`);
/** Where this user asks: at a socket of their own, or at the agent's, which is root's, where they have none. */
export function doorOf(agent: string, users: string, uid = process.getuid?.() ?? 0): string {
  const socket = userSocket(users, uid);
  return existsSync(socket) ? socket : agent;
}
/** (uid_t)-1 is no user's (credentials(7)). */
const LAST_UID = 2 ** 32 - 2;

export const labFolder = (lab: string) => join(LABS, lab);
export const labFile = (lab: string) => join(labFolder(lab), 'lab.json');
/** The names of its namespaces. */
export const nodesFolder = (lab: string) => join(labFolder(lab), 'namespaces');
/** There from the moment when the lab was whole. */
export const wholeFile = (lab: string) => join(labFolder(lab), 'whole');
export const labsFolder = () => LABS;

/** Everything of one node. */
export const nodePaths = (lab: string, node: string) => {
  const state = join(labFolder(lab), node);
  const inside = (name: string) => join(state, name);
  return {
    state,
    config: inside('config.json'),
    userSockets: inside('user'),
    tls: inside('tls'),
    software: inside('software'),
    agent: {
      socket: inside('agent.sock'),
      log: inside('agent.log'),
      pidFile: inside('agent.pid'),
      /** Who starts it again when it has ended. */
      supervisorFile: inside('supervisor.pid'),
    },
    keeper: { socket: inside('keeper.sock'), log: inside('keeper.log'), pidFile: inside('keeper.pid') },
  };
};

/** The name of a node's cgroup, and whether a name is that of one of the lab's nodes. */
export const cgroupName = (lab: string, node: string) => `${lab}-${node}`;
export const isCgroupOf = (lab: string) => (name: string) =>
  name.startsWith(`${lab}-`) && /^node\d+$/.test(name.slice(lab.length + 1));

/** @throws GodwitError `bad-lab` */
export function checkName(name: string): void {
  if (!NodeName.safeParse(name).success) throw badLab(`"${name}" is not like a host name`);
  // Its network would have the name of a node of another lab's.
  if (/-node\d+$/.test(name)) throw badLab(`"${name}" ends like a node's name`);
  const { keeper, userSockets } = nodePaths(name, `node${MAX_NODES}`);
  checkSocketPath(keeper.socket);
  checkSocketPath(userSocket(userSockets, LAST_UID));
}

/** @throws GodwitError `bad-lab`, `socket-path-too-long` */
export function describe(request: LabRequest, subnet: string): Lab {
  const { name = 'lab', nodes = 3, cpus, memory, programs, criu, users = [] } = request;
  checkName(name);
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > MAX_NODES)
    throw badLab(`it has 1 to ${MAX_NODES} nodes, not ${nodes}`);
  if (cpus && cpus.length !== nodes)
    throw badLab(`${nodes} nodes need as many CPU shares, not ${cpus.length}`);
  if (memory && memory.length !== nodes)
    throw badLab(`${nodes} nodes need as many sizes of memory, not ${memory.length}`);
  const tooLittle = memory?.find((bytes) => bytes < LEAST_MEMORY);
  if (tooLittle !== undefined)
    throw badLab(`a node has ${size(LEAST_MEMORY)} of memory or more, not ${size(tooLittle)}`);
  const tooSmall = cpus?.find((share) => !(share >= MIN_CPUS));
  if (tooSmall !== undefined) throw badLab(`a node has ${MIN_CPUS} CPUs or more, not ${tooSmall}`);
  const names = Array.from({ length: nodes }, (_, index) => `node${index + 1}`);
  return {
    name,
    subnet,
    programs,
    ...(criu ? { criu } : {}),
    users,
    nodes: names.map((node, index) => ({
      name: node,
      address: nodeAddress(subnet, index),
      files: index === 0 ? 'machine' : 'private',
      ...(cpus ? { cpus: cpus[index]! } : {}),
      ...(memory ? { memory: memory[index]! } : {}),
    })),
  };
}

/** What a node is set to before it is of a cluster. */
export const settingsOf = (lab: Lab, node: LabNode): Partial<z.input<typeof AgentConfig>> => ({
  users: lab.users,
  ...(node.cpus === undefined ? {} : { cpus: node.cpus }),
  ...(node.memory === undefined ? {} : { memory: node.memory }),
  cgroup: cgroupName(lab.name, node.name),
  network: { bridge: NODE_BRIDGE, pool: jobAddresses(lab.subnet, lab.nodes.indexOf(node)) },
  ...(lab.criu ? { criu: lab.criu } : {}),
  lab: lab.name,
});

/** What is written down about a lab; null where nothing is, or nothing that makes sense. */
export async function readLab(name: string): Promise<Lab | null> {
  try {
    return Lab.parse(JSON.parse(await readFile(labFile(name), 'utf8')));
  } catch {
    return null;
  }
}

/** The subnets of all labs. */
export async function subnetsInUse(): Promise<string[]> {
  const names = await readdir(LABS).catch(() => []);
  const labs = await Promise.all(names.map(readLab));
  return labs.flatMap((lab) => (lab ? [lab.subnet] : []));
}
