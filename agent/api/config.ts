/** The configuration of an agent and its keeper: one file for both. */
import { readFile } from 'node:fs/promises';
import { posix } from 'node:path';
import { z } from 'zod';
import { LEVELS } from '../log';
import { list } from './bounded';
import { GodwitError } from './errors';
import { MOST_NODES } from './lists';
import { Id, NodeName } from './model';
import { PerUser } from './per-user';
import { PinnedKey } from './pinned-key';
import { parseJson, parseWith } from './schema';

/** Where a machine's own agent has its configuration. */
export const DEFAULT_CONFIG = '/etc/godwit/agent.json';
/** Where agents listen for each other; at the next one machines join. */
export const DEFAULT_PORT = 7420;

const Path = z.string().startsWith('/', 'a path must be absolute');
/** Of one spelling, so that those of two nodes can be compared. CRIU ends a mount's name at a `]`. */
const SharedPath = Path.regex(/^[^\]]*$/, 'a shared path has no ]')
  .transform((path) => posix.normalize(path).replace(/(?<=.)\/$/, ''))
  .refine((path) => !/^\/$|^\/(proc|sys|dev)(\/|$)/.test(path), 'this folder is always the own one');
/** A node that is not given back for longer is a node that is lost. */
const MOST_GRACE_MS = 3_600_000;
/** A program and its libraries; less would be a mistake of the unit. */
export const LEAST_MEMORY = 16 * 1024 * 1024;
/** By hand, in a file. */
const MOST_NAMED = 10_000;
const Port = z.int().min(1).max(65_535);

export const Member = z.object({
  name: NodeName,
  address: z.string().min(1),
  port: Port,
  /**
   * The key of its certificate; without it any certificate of the authority that has the name is taken for it. One that
   * is renewed keeps its key, or all nodes are given the new one.
   */
  key: PinnedKey.optional(),
});
export type Member = z.infer<typeof Member>;

export const Members = list(Member, { least: 1, most: MOST_NODES }).refine(
  (members) => new Set(members.map(({ name }) => name)).size === members.length,
  'no two may have the same name',
);

/** Addresses that a node gives to the jobs that it is the home of; no other home gives the same. */
export const AddressPool = z.object({
  first: z.ipv4(),
  last: z.ipv4(),
  /** Of the network that they are in. */
  bits: z.int().min(1).max(30),
  gateway: z.ipv4().optional(),
});
export type AddressPool = z.infer<typeof AddressPool>;

/**
 * What an agent reads again at a SIGHUP: all of it takes effect at once. Everything else does when the agent is started
 * again; the keeper reads what it needs (`name`, `keeperSocket`) at its own start.
 */
export const REREAD = ['members', 'users', 'groups', 'acceptFrom', 'acceptRootJobs', 'acceptIds'] as const;

export const AgentConfig = z
  .object({
    name: NodeName,
    /** The folder of everything that this node keeps. */
    state: Path,
    /** Where other nodes reach it. */
    listen: z.object({
      host: z.string().min(1),
      port: Port,
      /** When the machine has this address no more, it is the one from which the others are reached, and they are told. */
      follows: z.boolean().optional(),
    }),
    /** The Unix socket for local clients, and the keeper's. */
    socket: Path,
    keeperSocket: Path,
    /** The folder of the sockets for other users than root, one each. */
    userSockets: Path.default('/run/godwit/user'),
    /** Who may ask besides root, by names; and the groups whose members may. */
    users: list(z.string().min(1), { most: MOST_NAMED }).default([]),
    groups: list(z.string().min(1), { most: MOST_NAMED }).default(['godwit']),
    /** How much each of them may take. */
    perUser: PerUser.prefault({}),
    tls: z.object({ ca: Path, cert: Path, key: Path }),
    /**
     * All nodes of the cluster, this one included: others are not spoken with, with any certificate. Without it they are
     * those of the cluster that this node has joined.
     */
    members: Members.optional(),
    /** A file with that list, which another program keeps; it is read again when it changes. */
    membersFile: Path.optional(),
    /**
     * The nodes from which jobs are taken, launched there or moved, and requests of their users about jobs whose home
     * this node is; all members if absent. What is here already is not touched, and may leave.
     */
    acceptFrom: list(NodeName, { most: MOST_NODES }).optional(),
    /**
     * `false`: no job of root runs here, and root of another node is not root to the jobs whose home this node is. Those
     * that run here already go on.
     */
    acceptRootJobs: z.boolean().default(true),
    /**
     * Jobs of other homes run here with numbers of users and groups in this range only; any if absent. Another node says
     * which numbers its users have, and some groups (disk, kmem) make root of their members. Jobs of root are
     * `acceptRootJobs`' matter.
     */
    acceptIds: z.object({ first: Id, last: Id }).optional(),
    /**
     * Folders (no symbolic links) that are the same files, with the same owners, on all nodes that list them: jobs use
     * them directly. Those on NFS and the like are found without being listed.
     */
    sharedPaths: list(SharedPath, { most: MOST_NAMED }).default([]),
    /** CPUs that its jobs may use; all of the machine's if absent. */
    cpus: z.number().positive().optional(),
    /** Bytes of memory that its jobs may use together; all of the machine's if absent. */
    memory: z.int().min(LEAST_MEMORY).optional(),
    /** The name of this node's folder in Godwit's part of the cgroup v2 hierarchy. */
    cgroup: z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'a cgroup is named like a host'),
    /** The CRIU to use; found by itself if absent. */
    criu: Path.optional(),
    /**
     * The batch system that gives nodes to users. Jobs of an allocation run on its nodes, within what it has of each, and
     * end with it.
     */
    allocations: z
      .object({
        from: z.literal('slurm'),
        /** Of users other than root only jobs in an allocation run here, and they see no others' jobs. */
        required: z.boolean().default(true),
        /** The folder of its commands. */
        commands: Path.default('/usr/bin'),
        /** Its slurm.conf, where the commands don't find it by themselves. */
        settings: Path.optional(),
        /** From SIGTERM to SIGKILL when an allocation is over. */
        graceMs: z.int().min(0).max(MOST_GRACE_MS).default(30_000),
      })
      .optional(),
    /** For jobs with an address of their own; without it there are none here. */
    network: z
      .object({
        /** A bridge on the network that all nodes have in common. */
        bridge: z.string().regex(/^[^\s/]{1,15}$/, 'an interface has a name of 1 to 15 characters'),
        /** Without it, jobs with addresses of other homes can be here, but none have their home here. */
        pool: AddressPool.optional(),
      })
      .optional(),
    /** What is below it is not said in the log. */
    logLevel: z.enum(LEVELS).default('info'),
    /** The lab that this node belongs to; absent on a real machine. */
    lab: z.string().optional(),
  })
  .refine(({ name, members }) => !members || members.some((member) => member.name === name), {
    path: ['members'],
    message: 'the node itself must be among them',
  })
  .refine(({ members, membersFile }) => !members || !membersFile, {
    path: ['membersFile'],
    message: 'the members are either here or there',
  });
export type AgentConfig = z.infer<typeof AgentConfig>;
export type Reread = Pick<AgentConfig, Exclude<(typeof REREAD)[number], 'members'>> & {
  /** Of the configuration, or of the cluster that was joined. */
  members: readonly Member[];
};
/** What holds for as long as an agent runs. */
export type FixedConfig = Omit<AgentConfig, (typeof REREAD)[number]>;

/** @throws GodwitError `unreadable-config`, `bad-message` with the path of the first thing that is wrong */
export async function loadConfig(file: string): Promise<AgentConfig> {
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw new GodwitError({
      code: 'unreadable-config',
      message: `the configuration ${file} can't be read: ${error.message}`,
      fix: 'name another with --config',
    });
  });
  const what = `the configuration ${file}`;
  return parseWith(AgentConfig, parseJson(what, text), what);
}
