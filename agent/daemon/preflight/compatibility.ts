/** How a node differs from the one that a job has got used to, as far as programs find out at their start. */
import type { Obstacle } from '../../api/model';
import type { Machine } from '../../api/peer-contract';
import { isAtLeast, series } from '../../machine/versions';
import { obstacle } from './obstacles';

/** Of the many flags, those that name instructions a program may have chosen at its start. */
const FEATURES =
  /^(sse|ssse|avx|fma|bmi|aes|sha|pclmul|popcnt|movbe|f16c|adx|rdrand|rdseed|xsave|amx|vaes|vpclmul|gfni|asimd|sve|atomics)/;

/** @param comesHome the node is the job's home, to which any kernel lets it come back */
export function differences(node: string, from: Machine, here: Machine, comesHome: boolean): Obstacle[] {
  if (from.arch !== here.arch) return [obstacle('architecture', { node, here: here.arch, there: from.arch })];
  return [...cpuObstacles(node, from, here), ...(comesHome ? [] : kernelObstacles(node, from, here))];
}

function cpuObstacles(node: string, from: Machine, here: Machine): Obstacle[] {
  const own = new Set(here.cpuFlags);
  const missing = from.cpuFlags.filter((flag) => FEATURES.test(flag) && !own.has(flag));
  return missing.length === 0 ? [] : [obstacle('cpu-features', { node, features: missing.join(', ') })];
}

/** A program that has found a system call to be there does not ask again; each series of kernels brings some. */
function kernelObstacles(node: string, from: Machine, here: Machine): Obstacle[] {
  const least = series(from.kernel);
  if (isAtLeast(series(here.kernel), least)) return [];
  return [obstacle('kernel-version', { node, here: here.kernel, there: from.kernel, least })];
}
