/** The preflight at the source: what of a job would stop its move, looked for before anything is frozen. */
import assert from 'node:assert';
import { readFile, statfs } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Result } from '../../api/contract';
import { asGodwitError } from '../../api/errors';
import { fitting } from '../../api/lists';
import type { Obstacle } from '../../api/model';
import type { BoundPort, PeerContract, SharedMount } from '../../api/peer-contract';
import { UNDERSTOOD } from '../../api/versions';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { inodeOf, type Looked, look } from '../../machine/criu/look';
import { type InetSocket, inetSockets, unaccepted, waitsForAccept } from '../../machine/network/inet-sockets';
import { statusBytes } from '../../machine/proc/parse';
import { type JobProcess, jobProcesses } from '../../machine/proc/processes';
import { cgroupObstacles, mountObstacles, subgroupObstacles } from './containment';
import { descriptorObstacle } from './descriptors';
import { filesHere, type OpenFile, openFilesOf } from './files';
import { lasting, PASSING_MS, PASSING_POLL_MS } from './lasting';
import { criuObstacles, thisMachine } from './machine';
import { messageObstacles } from './messages';
import { type NameOf, namesOf } from './naming';
import { boundPorts, socketObstacle, waitingObstacle } from './network';
import { asObstacle } from './obstacles';
import {
  endedThreads,
  namespaceObstacles,
  policyObstacles,
  programObstacles,
  semaphoreObstacles,
  sharedObstacles,
  tracerObstacles,
  trapObstacles,
} from './processes';
import { sessionObstacles } from './sessions';
import { terminalObstacles } from './terminals';
import { externalSockets, stuckConnections } from './unix-sockets';
import { unreadObstacles, watchObstacles } from './watches';

/** The copy that would leave. */
export interface Leaving {
  cgroup: string;
  hasAddress: boolean;
  mounts: string[];
  shared: SharedMount[];
  direct: string[];
  /** The processes, as the job numbers them, that stubs of Godwit are attached to. */
  debugged: Set<number>;
  /** The sockets outside by which its programs ask an agent: a move closes them. */
  door: () => Promise<ReadonlySet<number>>;
}

interface SourceNode {
  name: string;
  helper: string;
  /** The configured CRIU. */
  criu: string | undefined;
}

/** @param unanswered why its home's files do not answer; then nothing else of the job can be looked at without waiting */
export async function sourcePreflight(
  { name, helper, criu }: SourceNode,
  leaving: Leaving,
  unanswered: Obstacle | null,
): Promise<Result<PeerContract, 'host.preflight'>> {
  const machine = await thisMachine(criu);
  if (unanswered) {
    const nothing = { bytes: 0, ports: [], pings: false, files: [], mounts: [], shared: [] };
    return { ...nothing, obstacles: [unanswered], machine, understood: UNDERSTOOD };
  }
  const { debugged, door, hasAddress: address, mounts, shared } = leaving;
  const findings = await jobObstacles(JobCgroup.at(leaving.cgroup), { helper, debugged, door, address });
  const { bytes, ports, pings } = findings;
  return {
    // Without CRIU at the source there is no dump.
    obstacles: fitting([...(await criuObstacles(name, '0', criu)), ...findings.obstacles]),
    ...{ bytes, ports: fitting(ports), pings, files: await filesHere(findings, leaving) },
    ...{ mounts, shared, machine, understood: UNDERSTOOD },
  };
}

interface Findings {
  obstacles: Obstacle[];
  /** What its memory comes to. */
  bytes: number;
  /** What it has in its host's own network, and needs at the destination. */
  ports: BoundPort[];
  /** It has a socket of ICMP that needs no rights. */
  pings: boolean;
  files: OpenFile[];
  nameOf: NameOf;
}

interface Question {
  helper: string;
  /** The processes, as the job numbers them, that stubs of Godwit are attached to. */
  debugged: Set<number>;
  door: Leaving['door'];
  /** It has an address of its own, so its connections move with it. */
  address: boolean;
}

interface OwnSocket {
  socket: InetSocket;
  pid: number;
}

/** The obstacles to the job's leaving, seen from its processes. */
async function jobObstacles(job: JobCgroup, question: Question): Promise<Findings> {
  const processes = await jobProcesses(job);
  const [init] = processes;
  const nothing = { obstacles: [], bytes: 0, ports: [], pings: false, files: [], nameOf: namesOf(processes) };
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
    return { ...nothing, obstacles: [asObstacle(asGodwitError(error), 'try again')], bytes };
  }
}

async function obstaclesOf(
  processes: JobProcess[],
  { helper, debugged, door, address }: Question,
): Promise<Pick<Findings, 'obstacles' | 'ports' | 'pings' | 'files'>> {
  const lookAgain = () =>
    look(
      helper,
      processes.map(({ pid }) => pid),
    );
  /** Both of those before the look and those behind it: a connection may begin or end meanwhile. */
  const lookedAtDoor = async () => {
    const before = await door();
    const now = await lookAgain();
    return { now, closing: new Set([...before, ...(await door())]) };
  };
  const { now: looked, closing } = await lookedAtDoor();
  const nameOf = namesOf(processes);
  const stubbed = new Set(processes.filter(({ inner }) => debugged.has(inner)).map(({ pid }) => pid));
  const passing = (now: Looked, closing: ReadonlySet<number>) => [
    ...tracerObstacles(now, processes, stubbed, nameOf),
    ...stuckConnections(now, closing, nameOf),
    ...externalSockets(now, closing, nameOf),
    ...sharedObstacles(now, processes, nameOf),
    ...trapObstacles(now, nameOf),
    ...unreadObstacles(now, nameOf),
  ];
  const init = processes[0]?.pid;
  assert(init !== undefined, 'a job without processes has no obstacles');
  const all = await ownSockets(looked, init);
  const sockets = address ? [] : all;
  const own = sockets.map(({ socket }) => socket);
  const found = [
    ...namespaceObstacles(looked, nameOf),
    ...cgroupObstacles(looked, nameOf),
    ...endedThreads(processes, nameOf),
    ...sessionObstacles(processes, nameOf),
    ...mountObstacles(looked, nameOf),
    ...policyObstacles(looked, nameOf),
    ...semaphoreObstacles(looked, nameOf),
    ...programObstacles(looked, nameOf),
    ...terminalObstacles(looked, nameOf),
    ...messageObstacles(looked, nameOf),
    ...looked.descriptors.map((one) => descriptorObstacle(one, nameOf(one.pid))),
    ...sockets.map(({ socket, pid }) => socketObstacle(socket, own, nameOf(pid))),
    ...(await idleListeners(all, init)).map(({ socket, pid }) => waitingObstacle(socket, nameOf(pid))),
    ...watchObstacles(looked, nameOf),
    ...(await lasting(passing(looked, closing), async () => {
      const { now, closing } = await lookedAtDoor();
      return passing(now, closing);
    })),
  ].filter((obstacle) => obstacle !== null);
  // A process that has ten devices open has ten obstacles; ten threads that share them have no more.
  const byWords = new Map(found.map((obstacle) => [obstacle.code + obstacle.what, obstacle]));
  const pings = looked.descriptors.some(({ kind }) => kind.startsWith('PING'));
  return { obstacles: [...byWords.values()], ports: boundPorts(own), pings, files: openFilesOf(looked) };
}

/**
 * Listeners that leave a connection waiting. A busy server always has some: what counts is whether those that are there
 * now are still there a while later.
 */
async function idleListeners(own: OwnSocket[], init: number): Promise<OwnSocket[]> {
  const listeners = own.filter(({ socket }) => waitsForAccept(socket));
  if (listeners.length === 0) return [];
  const late = performance.now() + PASSING_MS;
  for (let left = unaccepted(await inetSockets(init)); ; await sleep(PASSING_POLL_MS)) {
    const there = new Set(unaccepted(await inetSockets(init)).map(({ name }) => name));
    left = left.filter(({ name }) => there.has(name));
    const idle = listeners.filter(({ socket }) => left.some(({ port }) => port === socket.port));
    if (idle.length === 0 || performance.now() > late) return idle;
  }
}

/** The job's network sockets, each with one process that has it open. All of a job is in one network. */
async function ownSockets({ descriptors }: Looked, init: number): Promise<OwnSocket[]> {
  const holders = new Map(descriptors.map(({ pid, name }) => [inodeOf(name), pid]));
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
  const own = statuses.reduce((sum, status) => sum + statusBytes(status, 'RssAnon'), 0);
  const shared = Math.max(...statuses.map((status) => statusBytes(status, 'RssShmem')));
  const files = await statfs(`/proc/${init}/root/dev/shm`).then(
    ({ blocks, bfree, bsize }) => (blocks - bfree) * bsize,
    () => 0,
  );
  return own + Math.max(shared, files);
}

/** A process that has just ended has nothing to say. */
const read = (path: string) => readFile(path, 'utf8').catch(() => '');
