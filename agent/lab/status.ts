/** Which agents of a lab answer the user who asks. */
import { open } from 'node:fs/promises';
import { asGodwitError, notAdmitted } from '../api/errors';
import { messageOf } from '../log';
import { connectUnix } from '../wire/client';
import { checkName, doorOf, nodePaths, readLab } from './description';
import { RESTARTED } from './processes';

/** How long a node that is up may take to answer, on a busy machine. */
const STATUS_TIMEOUT_MS = 10_000;

/** Of a log; its last line is shorter. */
const END_BYTES = 64 * 1024;

export interface LabStatus {
  nodes: {
    name: string;
    address: string;
    /** The socket at which the caller reaches it. */
    socket: string;
    state: 'up' | 'down';
    /** The last line of its log, where it is down and has left one. */
    why?: string;
  }[];
}

/**
 * The lab's nodes, none if it isn't up. A node is `up` when its agent answers.
 * @throws GodwitError `bad-lab`, `not-admitted` if the caller may ask none of them
 */
export async function labStatus({ name = 'lab' }: { name?: string | undefined } = {}): Promise<LabStatus> {
  checkName(name);
  const lab = await readLab(name);
  const asked = (lab?.nodes ?? []).map(async (node) => {
    const { agent, userSockets } = nodePaths(name, node.name);
    const socket = doorOf(agent.socket, userSockets);
    const answer = await answers(socket);
    const why = answer === 'down' ? await lastLogLine(agent.log) : '';
    return { node: { name: node.name, address: node.address, socket, ...(why ? { why } : {}) }, answer };
  });
  const all = await Promise.all(asked);
  if (all.length > 0 && all.every(({ answer }) => answer === 'refused'))
    throw notAdmitted(all[0]!.node.socket);
  // Who is admitted has no socket of their own where the agent is away since it was started.
  return { nodes: all.map(({ node, answer }) => ({ ...node, state: answer === 'up' ? 'up' : 'down' })) };
}

/** Only the hello is requested: an agent that answers it is up. */
export async function answers(socket: string): Promise<'up' | 'down' | 'refused'> {
  try {
    const options = { name: 'lab', kind: 'client', contract: {}, timeoutMs: STATUS_TIMEOUT_MS } as const;
    const remote = await connectUnix(socket, options);
    remote.close();
    return 'up';
  } catch (error) {
    return asGodwitError(error).code === 'not-admitted' ? 'refused' : 'down';
  }
}

/** The last line of a daemon's own in its log; empty where there is none to read. */
export async function lastLogLine(log: string): Promise<string> {
  const lines = (await endOf(log)).trim().split('\n');
  // What its supervisor writes comes after that.
  return (
    lines
      .map(messageOf)
      .filter((line) => line !== RESTARTED)
      .at(-1) ?? ''
  );
}

async function endOf(path: string): Promise<string> {
  const file = await open(path).catch(() => null);
  if (!file) return '';
  try {
    const { size } = await file.stat();
    const buffer = Buffer.alloc(Math.min(size, END_BYTES));
    await file.read(buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString();
  } finally {
    await file.close();
  }
}
