/**
 * What Slurm's commands print. Users write parts of it (the name of a job, its comment, its folder), and no quotes tell
 * those apart: what counts is asked for by itself, in formats that have no such part, or is checked against that.
 */
import { GodwitError } from '../../api/errors';
import type { Share } from '../../api/model';
import type { Allocation } from './allocation';

/** `squeue --format`: id, number of the user, state, nodes. */
export const QUEUE_FORMAT = '%A|%U|%T|%N';
/** `sinfo --Node --format`. */
export const NODE_FORMAT = '%N|%T';

/** Of squeue(1), "JOB STATE CODES". Of a requeued job the next allocation may have other nodes. */
const ACTIVE = new Set(['RUNNING']);
const HELD_UP = new Set(['CONFIGURING', 'RESIZING', 'SIGNALING', 'STAGE_OUT', 'STOPPED', 'SUSPENDED']);
/** Of `squeue --states`. */
export const NOT_OVER = [...ACTIVE, ...HELD_UP].join(',');
const OVER = new Set([
  ...['BOOT_FAIL', 'CANCELLED', 'COMPLETED', 'COMPLETING', 'DEADLINE', 'FAILED', 'NODE_FAIL'],
  ...['OUT_OF_MEMORY', 'PENDING', 'PREEMPTED', 'REQUEUED', 'REQUEUE_FED', 'REQUEUE_HOLD', 'REVOKED'],
  ...['SPECIAL_EXIT', 'TIMEOUT'],
]);

/** sinfo(1), "NODE STATE CODES"; the last character may say more of it. */
const NO_MORE = /^(draining|drained|fail|failing|down|maint|reboot|powering_down)/;

const MEBIBYTE = 1024 * 1024;
const UNITS: Record<string, number> = { '': 1, K: 1 / 1024, M: 1, G: 1024, T: 1024 * 1024 };

export interface Queued extends Pick<Allocation, 'id' | 'uid' | 'active' | 'over'> {
  /** As Slurm writes lists of hosts: `node[1-3],other`. */
  nodes: string;
}

/** @throws GodwitError `allocations-unclear` */
export function readQueue(text: string): Queued[] {
  return linesOf(text).map((line) => {
    const [, id, uid, state, nodes] = /^(\d+)\|(\d+)\|([A-Z_]+)\|([^|\s]*)$/.exec(line) ?? [];
    if (id === undefined) throw unclear(`squeue printed "${line}"`);
    if (!ACTIVE.has(state!) && !HELD_UP.has(state!) && !OVER.has(state!))
      throw unclear(`job ${id} is in the state ${state}, which is not known`);
    return { id, uid: Number(uid), active: ACTIVE.has(state!), over: OVER.has(state!), nodes: nodes! };
  });
}

/** A part of an allocation that is the same on some nodes. */
export interface Part extends Share {
  nodes: string;
}

/**
 * Of `scontrol --detail --oneliner show job`. The true parts are always among what is found; others that the job's owner
 * has written name a node a second time, or one that is not the job's (`sharesOf`).
 */
export const readParts = (text: string): Part[] =>
  [...text.matchAll(/(?:^|\s)Nodes=(\S+) CPU_IDs=([\d,-]*) Mem=(\d+)([KMGT]?)(?=\s|$)/g)].map(
    ([, nodes, cpus, memory, unit]) => ({
      nodes: nodes!,
      ...(cpus ? { cpus: countOf(cpus) } : {}),
      // 0 where Slurm gives no memory, but all of it.
      ...(Number(memory) > 0 ? { memory: Math.round(Number(memory) * UNITS[unit!]! * MEBIBYTE) } : {}),
    }),
  );

/** @param parts with the names of their nodes @throws GodwitError `allocations-unclear` */
export function sharesOf(
  id: string,
  nodes: readonly string[],
  parts: readonly (Share & { names: readonly string[] })[],
): Map<string, Share> {
  const shares = new Map<string, Share>();
  for (const { names, ...share } of parts)
    for (const name of names) {
      if (!nodes.includes(name) || shares.has(name))
        throw unclear(
          `what Slurm says of ${name} in job ${id} is not in one piece; is it in the job's name?`,
        );
      shares.set(name, share);
    }
  const missing = nodes.find((name) => !shares.has(name));
  if (missing !== undefined) throw unclear(`Slurm does not say what job ${id} has of ${missing}`);
  return shares;
}

/** Once for each partition that a node is in. */
export const readDraining = (text: string): Set<string> =>
  new Set(
    linesOf(text)
      .map((line) => line.split('|'))
      .flatMap(([name, state]) => (NO_MORE.test(state ?? '') ? [name!] : [])),
  );

export const linesOf = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);

/** `0-3,8`. */
const countOf = (numbers: string): number =>
  numbers
    .split(',')
    .map((range) => range.split('-').map(Number))
    .reduce((sum, [first = 0, last = first]) => sum + last - first + 1, 0);

export const unclear = (why: string) =>
  new GodwitError({
    code: 'allocations-unclear',
    message: `what Slurm says of an allocation can't be used: ${why}`,
  });
