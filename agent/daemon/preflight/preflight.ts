/** What of a job would stop its move, looked for before anything is frozen. */
import { readFile, statfs } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { asGodwitError } from '../../api/errors';
import type { Obstacle } from '../../api/model';
import type { BoundPort } from '../../api/peer-contract';
import type { JobCgroup } from '../../machine/cgroup/cgroup';
import { inodeOf, type Looked, look } from '../../machine/criu/look';
import { type InetSocket, inetSockets, unaccepted, waitsForAccept } from '../../machine/network/inet-sockets';
import { type JobProcess, jobProcesses } from '../../machine/proc/processes';
import { heldObstacle } from './held';
import { type LocalConnection, stuckConnections } from './local-connections';
import { type OpenFile, openFilesOf } from './locks';
import { messageObstacles } from './messages';
import { boundPorts, socketObstacle, waitingObstacle } from './network';
import { sessionObstacles } from './sessions';
import { terminalObstacles } from './terminals';
import {
  cgroupObstacles,
  endedThreads,
  externalSockets,
  mountObstacles,
  namespaceObstacles,
  policyObstacles,
  programObstacles,
  semaphoreObstacles,
  subgroupObstacles,
  tracerObstacles,
} from './ties';

/** As long as the move itself gives a program for it (helper/sockets.c). */
const ACCEPT_MS = 2_000;
const ACCEPT_POLL_MS = 20;

export interface Findings {
  obstacles: Obstacle[];
  /** What its memory comes to. */
  bytes: number;
  /** What it has in its host's own network, and needs at the destination. */
  ports: BoundPort[];
  /** It has a socket of ICMP that needs no rights. */
  pings: boolean;
  files: OpenFile[];
  /** A process of this node, as people are told of it. */
  who: (pid: number) => string;
}

export interface Question {
  helper: string;
  /** The processes, as the job numbers them, that stubs of Godwit are attached to. */
  debugged: Set<number>;
  /** It has an address of its own, so any connection goes along. */
  address: boolean;
}

interface OwnSocket {
  socket: InetSocket;
  pid: number;
}

/** On the source. */
export async function jobObstacles(job: JobCgroup, question: Question): Promise<Findings> {
  const processes = await jobProcesses(job);
  const [init] = processes;
  const nothing = { obstacles: [], bytes: 0, ports: [], pings: false, files: [], who: teller(processes) };
  if (!init) return nothing;
  const bytes = await memoryOf(processes, init.pid);
  try {
    const found = await obstaclesOf(processes, question);
    return {
      ...nothing,
      ...found,
      obstacles: [...subgroupObstacles(await job.made()), ...found.obstacles],
      bytes,
    };
  } catch (error) {
    const { code, message, fix } = asGodwitError(error);
    return { ...nothing, obstacles: [{ code, what: message, fix: fix ?? 'try again' }], bytes };
  }
}

async function obstaclesOf(
  processes: JobProcess[],
  { helper, debugged, address }: Question,
): Promise<Pick<Findings, 'obstacles' | 'ports' | 'pings' | 'files'>> {
  const lookAgain = () =>
    look(
      helper,
      processes.map(({ pid }) => pid),
    );
  const looked = await lookAgain();
  const who = teller(processes);
  const stubbed = new Set(processes.filter(({ inner }) => debugged.has(inner)).map(({ pid }) => pid));
  const init = processes[0]!.pid;
  const all = await ownSockets(looked, init);
  const sockets = address ? [] : all;
  const own = sockets.map(({ socket }) => socket);
  const found = [
    ...tracerObstacles(looked, processes, stubbed, who),
    ...namespaceObstacles(looked, who),
    ...cgroupObstacles(looked, who),
    ...endedThreads(processes, who),
    ...sessionObstacles(processes, who),
    ...mountObstacles(looked, who),
    ...policyObstacles(looked, who),
    ...semaphoreObstacles(looked, who),
    ...programObstacles(looked, who),
    ...terminalObstacles(looked, who),
    ...messageObstacles(looked, who),
    ...externalSockets(looked, who),
    ...looked.held.map((held) => heldObstacle(held, who(held.pid))),
    ...sockets.map(({ socket, pid }) => socketObstacle(socket, own, who(pid))),
    ...(await idleListeners(all, init)).map(({ socket, pid }) => waitingObstacle(socket, who(pid))),
    ...(await idleConnections(looked, lookAgain, who)).map(({ obstacle }) => obstacle),
  ].filter((obstacle) => obstacle !== null);
  // A process that has ten devices open has ten obstacles; ten threads that share them have no more.
  const byWords = new Map(found.map((obstacle) => [obstacle.code + obstacle.what, obstacle]));
  const pings = looked.held.some(({ kind }) => kind.startsWith('PING'));
  return { obstacles: [...byWords.values()], ports: boundPorts(own), pings, files: openFilesOf(looked) };
}

function teller(processes: JobProcess[]): (pid: number) => string {
  const byPid = new Map(processes.map((process) => [process.pid, process]));
  return (pid) => {
    const process = byPid.get(pid);
    return process ? `process ${process.inner} (${process.comm})` : `process ${pid} of its node`;
  };
}

/**
 * Listeners that leave a connection waiting. A busy server always has some: what counts is whether those that are there
 * now are still there a while later.
 */
async function idleListeners(own: OwnSocket[], init: number): Promise<OwnSocket[]> {
  const listeners = own.filter(({ socket }) => waitsForAccept(socket));
  if (listeners.length === 0) return [];
  const late = performance.now() + ACCEPT_MS;
  for (let left = unaccepted(await inetSockets(init)); ; await sleep(ACCEPT_POLL_MS)) {
    const there = new Set(unaccepted(await inetSockets(init)).map(({ name }) => name));
    left = left.filter(({ name }) => there.has(name));
    const idle = listeners.filter(({ socket }) => left.some(({ port }) => port === socket.port));
    if (idle.length === 0 || performance.now() > late) return idle;
  }
}

/** As with listeners of the network. */
async function idleConnections(
  looked: Looked,
  lookAgain: () => Promise<Looked>,
  who: (pid: number) => string,
): Promise<LocalConnection[]> {
  const late = performance.now() + ACCEPT_MS;
  let left = stuckConnections(looked, who);
  while (left.length > 0 && performance.now() < late) {
    await sleep(ACCEPT_POLL_MS);
    const there = new Set(stuckConnections(await lookAgain(), who).map(({ name }) => name));
    left = left.filter(({ name }) => there.has(name));
  }
  return left;
}

/** The job's network sockets, each with one process that has it open. All of a job is in one network. */
async function ownSockets({ held }: Looked, init: number): Promise<OwnSocket[]> {
  const holders = new Map(held.map(({ pid, name }) => [inodeOf(name), pid]));
  return (await inetSockets(init)).flatMap((socket) => {
    const pid = holders.get(socket.inode);
    return pid === undefined || socket.inode === 0 ? [] : [{ socket, pid }];
  });
}

/**
 * What has no file behind it travels: each process's own pages, what they share (counted once, as far as that can be
 * told from outside), and the job's own /dev/shm.
 */
async function memoryOf(processes: JobProcess[], init: number): Promise<number> {
  const statuses = await Promise.all(processes.map(({ pid }) => read(`/proc/${pid}/status`)));
  const of = (status: string, name: string) =>
    1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
  const own = statuses.reduce((sum, status) => sum + of(status, 'RssAnon'), 0);
  const shared = Math.max(...statuses.map((status) => of(status, 'RssShmem')));
  const files = await statfs(`/proc/${init}/root/dev/shm`).then(
    ({ blocks, bfree, bsize }) => (blocks - bfree) * bsize,
    () => 0,
  );
  return own + Math.max(shared, files);
}

/** A process that has just ended has nothing to say. */
const read = (path: string) => readFile(path, 'utf8').catch(() => '');
