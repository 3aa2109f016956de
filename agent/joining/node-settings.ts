/** The configuration of a node that joins: what a person has prepared of it, and what makes it a member. */
import { access, readFile, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { clusterFiles } from '../api/cluster-files';
import { AgentConfig, DEFAULT_CONFIG, DEFAULT_PORT } from '../api/config';
import { NodeName } from '../api/model';
import { parseJson, parseWith } from '../api/schema';
import { nodeFilesIn } from '../machine/certificates/authority';
import { ownAddresses } from '../machine/network/own-addresses';
import { writeWhole } from '../machine/whole-file';
import { authorityKept, joinedAlready, noAddress, notANodeName, notAnAddress } from './errors';

const DEFAULT_STATE = '/var/lib/godwit/node';
const DEFAULT_SOCKET = '/run/godwit/agent.sock';

export interface NodeRequest {
  name?: string | undefined;
  /** `ADDRESS[:PORT]`, where other nodes are to find it. */
  listen?: string | undefined;
  state?: string | undefined;
  socket?: string | undefined;
  /** Where its configuration is, or is to be. */
  config?: string | undefined;
}

export interface NodePlan {
  name: string;
  address: string;
  port: number;
  /** The address was found, not given: when the machine has another one, that is the node's. */
  follows: boolean;
  state: string;
  socket: string;
  /** The configuration's file, and what a person had written into it before. */
  file: string;
  prepared: Record<string, unknown> | null;
}

/**
 * What the node is going to be; nothing is made.
 * @throws GodwitError `joined-already`, `authority-kept`, `no-address`, `not-an-address`, `not-a-node-name`, `bad-message`
 */
export async function planNode({ name, listen, state, socket, config }: NodeRequest): Promise<NodePlan> {
  const file = configFile({ state, config });
  const prepared = await readPrepared(file);
  await checkNoAuthority(stateFolder({ state }));
  const kept = (key: string) => prepared?.[key] as string | undefined;
  const ownName = name ?? kept('name') ?? hostname().split('.')[0]!.toLowerCase();
  if (!NodeName.safeParse(ownName).success) throw notANodeName(ownName);
  return {
    ...(listen === undefined ? { address: ownAddress(), port: DEFAULT_PORT } : placeIn(listen)),
    follows: listen === undefined,
    ...{ name: ownName, state: stateFolder({ state }), file, prepared },
    socket: socket ?? kept('socket') ?? (state === undefined ? DEFAULT_SOCKET : join(state, 'agent.sock')),
  };
}

/** A node with a folder of its own has its configuration in it: there may be several on one machine. */
export const configFile = ({ state, config }: Pick<NodeRequest, 'state' | 'config'>): string =>
  config ?? (state === undefined ? DEFAULT_CONFIG : join(state, 'agent.json'));

export const stateFolder = ({ state }: Pick<NodeRequest, 'state'>): string => state ?? DEFAULT_STATE;

/** A configuration without members and certificate says how the node is to be, and not of which cluster. */
async function readPrepared(file: string): Promise<Record<string, unknown> | null> {
  const text = await readFile(file, 'utf8').catch(() => null);
  if (text === null) return null;
  const what = `the configuration ${file}`;
  const prepared = parseWith(z.record(z.string(), z.unknown()), parseJson(what, text), what);
  if ('members' in prepared || 'tls' in prepared) throw joinedAlready(file);
  return prepared;
}

/** A try that fails takes away all that makes a member: it may not meet what it has not made. */
async function checkNoAuthority(state: string): Promise<void> {
  const { authority } = clusterFiles(state);
  const kept = await access(authority).then(
    () => true,
    () => false,
  );
  if (kept) throw authorityKept(authority);
}

/** @throws GodwitError `bad-message`: what was prepared does not fit */
export async function writeConfig(plan: NodePlan) {
  const { name, address, port, follows, state, socket, file, prepared } = plan;
  const beside = (other: string) => join(dirname(socket), other);
  const own = basename(socket) === 'agent.sock' ? '' : `${basename(socket)}.`;
  const config = {
    keeperSocket: beside(`${own}keeper.sock`),
    userSockets: beside(`${own}user`),
    cgroup: name,
    ...prepared,
    ...{ name, state, socket },
    listen: { host: address, port, ...(follows ? { follows } : {}) },
    tls: nodeFilesIn(clusterFiles(state).tls),
  };
  parseWith(AgentConfig, config, `the configuration ${file}`);
  await writeWhole(file, `${JSON.stringify(config, null, 2)}\n`, 0o600);
}

/** As it was before. */
export async function restoreConfig({ file, prepared }: Pick<NodePlan, 'file' | 'prepared'>): Promise<void> {
  if (prepared === null) await rm(file, { force: true });
  else await writeWhole(file, `${JSON.stringify(prepared, null, 2)}\n`, 0o600);
}

/** What `writeConfig` adds. */
const OF_MEMBERSHIP = ['name', 'state', 'socket', 'keeperSocket', 'userSockets', 'cgroup', 'listen', 'tls'];

/** What is left of a configuration without its membership; null for nothing. */
export async function settingsApart(file: string): Promise<Record<string, unknown> | null> {
  const all = parseJson(`the configuration ${file}`, await readFile(file, 'utf8')) as object;
  const own = Object.entries(all).filter(([key]) => !OF_MEMBERSHIP.includes(key));
  return own.length > 0 ? Object.fromEntries(own) : null;
}

/** `ADDRESS`, `ADDRESS:PORT`, `[IPv6]:PORT`. @throws GodwitError `not-an-address` */
function placeIn(listen: string): { address: string; port: number } {
  const [, bracketed, plain, digits] =
    /^(?:\[([^\]]+)\]|([^:[\]\s]+|[0-9a-fA-F:]*:[0-9a-fA-F:]*))(?::(\d{1,5}))?$/.exec(listen) ?? [];
  const address = bracketed ?? plain;
  const port = digits === undefined ? DEFAULT_PORT : Number(digits);
  if (!address || port < 1 || port > 65_534) throw notAnAddress(listen);
  return { address, port };
}

/** The machine's own on a network. @throws GodwitError `no-address` */
function ownAddress(): string {
  const [first] = ownAddresses();
  if (first === undefined) throw noAddress();
  return first;
}
