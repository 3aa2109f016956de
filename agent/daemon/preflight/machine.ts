/** A node as a job gets used to it: its architecture, CPU, kernel and CRIU. */
import { access, constants, readFile } from 'node:fs/promises';
import { arch, release } from 'node:os';
import { asGodwitError } from '../../api/errors';
import type { Obstacle } from '../../api/model';
import type { Machine } from '../../api/peer-contract';
import { type Criu, findCriu } from '../../machine/criu/criu';
import { parseCpuFlags } from '../../machine/proc/parse';
import { isAtLeast, series } from '../../machine/versions';
import { obstacle } from './obstacles';

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
    cpuFlags: parseCpuFlags(await readFile('/proc/cpuinfo', 'utf8')),
    kernel: release(),
    criu: await criuHere(criu).then(
      ({ version }) => version,
      () => null,
    ),
  };
}

/** `least`: the version that the images will be written by. */
export async function criuObstacles(node: string, least: string, configured?: string): Promise<Obstacle[]> {
  try {
    const { version } = await criuHere(configured);
    // An older one may not know what a newer one has written; 4.2.1 and 4.2 write the same.
    if (isAtLeast(series(version), series(least))) return [];
    return [obstacle('criu-version', { node, here: version, there: least })];
  } catch (error) {
    const failure = asGodwitError(error);
    return [obstacle('no-criu', { node, why: failure.message }, failure)];
  }
}
