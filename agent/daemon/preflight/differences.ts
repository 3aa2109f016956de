/** How a node differs from the one that a job has got used to, as far as programs find out at their start. */
import type { Obstacle } from '../../api/model';
import type { Machine } from '../../api/peer-contract';
import { isAtLeast, series } from '../../machine/versions';

/** Of the many flags, those that name instructions a program may have chosen at its start. */
const FEATURES =
  /^(sse|ssse|avx|fma|bmi|aes|sha|pclmul|popcnt|movbe|f16c|adx|rdrand|rdseed|xsave|amx|vaes|vpclmul|gfni|asimd|sve|atomics)/;

/** @param comesHome the node is the job's home, to which any kernel lets it come back */
export function differences(node: string, from: Machine, here: Machine, comesHome: boolean): Obstacle[] {
  if (from.arch !== here.arch)
    return [
      {
        code: 'architecture',
        what: `${node} is ${here.arch}, and the job runs on ${from.arch}`,
        fix: 'choose a node of the same architecture',
      },
    ];
  return [...cpuObstacles(node, from, here), ...(comesHome ? [] : kernelObstacles(node, from, here))];
}

function cpuObstacles(node: string, from: Machine, here: Machine): Obstacle[] {
  const own = new Set(here.cpuFlags);
  const missing = from.cpuFlags.filter((flag) => FEATURES.test(flag) && !own.has(flag));
  if (missing.length === 0) return [];
  return [
    {
      code: 'cpu-features',
      what: `${node}'s CPU lacks ${missing.join(', ')}`,
      fix: 'choose a node with a CPU of the same kind, or launch the job on the oldest one',
    },
  ];
}

/** A program that has found a system call to be there does not ask again; each series of kernels brings some. */
function kernelObstacles(node: string, from: Machine, here: Machine): Obstacle[] {
  if (isAtLeast(series(here.kernel), series(from.kernel))) return [];
  return [
    {
      code: 'kernel-version',
      what: `${node} has the kernel ${here.kernel}, and the job runs on the newer ${from.kernel}`,
      fix: `choose a node with ${series(from.kernel)} or newer, or launch the job on the oldest one`,
    },
  ];
}
