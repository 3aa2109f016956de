/** What a node must have for a job that comes from another one. */
import { access, constants, readFile, statfs } from 'node:fs/promises';
import { arch, freemem, release } from 'node:os';
import { size } from '../../api/figures';
import type { Obstacle } from '../../api/model';
import type { BoundPort, Machine } from '../../api/peer-contract';
import { type Criu, findCriu } from '../../machine/criu/criu';
import { inetSockets } from '../../machine/network/inet-sockets';
import { isAtLeast, series } from '../../machine/versions';
import { differences } from './differences';
import { portTaken, takenPorts } from './network';

/** A CRIU that has been found to serve needs no second check as long as it is there: that takes a tenth of a second. */
const found = new Map<string, Criu>();

async function criuHere(configured = ''): Promise<Criu> {
  const known = found.get(configured);
  const isThere =
    known &&
    (await access(known.path, constants.X_OK).then(
      () => true,
      () => false,
    ));
  if (isThere) return known;
  const criu = await findCriu(configured || undefined);
  found.set(configured, criu);
  return criu;
}

/** This node, as a job has got used to it. */
export async function thisMachine(criu?: string): Promise<Machine> {
  return {
    arch: arch(),
    cpuFlags: await cpuFlags(),
    kernel: release(),
    criu: await criuHere(criu).then(
      ({ version }) => version,
      () => null,
    ),
  };
}

async function cpuFlags(): Promise<string[]> {
  const info = await readFile('/proc/cpuinfo', 'utf8');
  return /^(?:flags|Features)\s*:\s*(.*)$/m.exec(info)?.[1]?.split(' ') ?? [];
}

/** Without CRIU at the source there is no dump. */
export const sourceObstacles = (node: string, criu?: string) => criuObstacles(node, '0', criu);

export interface Wanted {
  /** What the job has in memory. */
  bytes: number;
  /** Where it comes from. */
  from: Machine;
  /** This node is its home. */
  comesHome: boolean;
  /** What must be free in this node's own network. */
  ports: BoundPort[];
  /** The folder in which its images will be. */
  images: string;
}

/** On the destination: what is missing here. */
export async function nodeObstacles(node: string, wanted: Wanted, criu?: string): Promise<Obstacle[]> {
  const obstacles = [
    ...(await criuObstacles(node, wanted.from.criu ?? '0', criu)),
    ...(await portObstacles(node, wanted.ports)),
    ...differences(node, wanted.from, await thisMachine(criu), wanted.comesHome),
  ];
  const free = freemem();
  // The image and the restored job are in memory at the same time.
  if (2 * wanted.bytes > free)
    obstacles.push({
      code: 'no-memory',
      what: `${node} has ${size(free)} of memory free, and the move takes ${size(2 * wanted.bytes)}`,
      fix: 'free memory there, or choose another node',
    });
  const { bavail, bsize } = await statfs(wanted.images);
  if (wanted.bytes > bavail * bsize)
    obstacles.push({
      code: 'disk-full',
      what: `${node} has ${size(bavail * bsize)} free for images, and the move takes ${size(wanted.bytes)}`,
      fix: `free space for ${wanted.images} there, or choose another node`,
    });
  return obstacles;
}

async function criuObstacles(node: string, least: string, configured?: string): Promise<Obstacle[]> {
  try {
    const { version } = await criuHere(configured);
    // An older one may not know what a newer one has written; 4.2.1 and 4.2 write the same.
    if (isAtLeast(series(version), series(least))) return [];
    return [
      {
        code: 'criu-version',
        what: `${node} has CRIU ${version}, and the job's images will be written by ${least}`,
        fix: `have the same CRIU on both: \`npm run setup\` on ${node}`,
      },
    ];
  } catch (error) {
    const { message, fix } = error as Error & { fix?: string };
    return [{ code: 'no-criu', what: `${node}: ${message}`, fix: fix ?? 'see `godwit doctor`' }];
  }
}

async function portObstacles(node: string, ports: BoundPort[]): Promise<Obstacle[]> {
  if (ports.length === 0) return [];
  return takenPorts(ports, await inetSockets('self')).map((port) => portTaken(node, port));
}
