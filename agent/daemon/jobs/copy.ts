import { z } from 'zod';
import {
  Address,
  AllocationId,
  Epoch,
  type Exit,
  JobId,
  Limits,
  NodeName,
  ROOT,
  Shown,
  User,
} from '../../api/model';
import { Mounts, SharedMounts, type Terms } from '../../api/peer-contract';
import { signalName } from '../../api/signals';
import { JobLocation, ProcessKey } from '../../keeper/contract';
import type { End } from '../../keeper/supervision';
import type { MountOf } from '../homefs/mounted';
import type { HomedJob } from '../journal/journal';

/** A job's body on this node: what a restarted agent must know to go on looking after it. */
export const Copy = z.object({
  job: JobId,
  epoch: Epoch,
  home: NodeName,
  /** As whom its processes run, and reach the home's files. */
  user: User.default(ROOT),
  limits: Limits.default({}),
  /** Its own, where it has one. */
  address: Address.nullable().default(null),
  /** Its PID 1 holds a pseudo-terminal. */
  terminal: z.boolean().default(false),
  cgroup: z.string().startsWith('/'),
  /** PID 1 as this node numbers it; null until it is known. */
  init: z.int().nullable(),
  supervisor: ProcessKey,
  /** The file in which the supervisor writes how it ended. */
  report: z.string().startsWith('/'),
  /** The epoch under which its home's files are mounted here; null at home itself. */
  files: Epoch.nullable(),
  /** The home's mounts in its root besides `/`. */
  mounts: Mounts,
  /** Those of them that its home shares with others. */
  shared: SharedMounts.default([]),
  /** The places of those that are this node's own: not over the mount of its home's files. */
  direct: Mounts.default([]),
  /** Launched stopped and not let go yet: it stays frozen. */
  launchedStopped: z.boolean(),
  /** A debugger has been attached to it here: its keeper may have gone with a breakpoint in. */
  debugged: z.boolean().default(false),
  /** What has been done to it that may end it, and is not its own doing. */
  injury: z.string().nullable().default(null),
  /** The epoch under which its network was made, where it has another since. */
  network: Epoch.nullable().default(null),
  /** How its home showed it. */
  shown: Shown.nullable().default(null),
  /** The home that it had, whose files were taken from it when it was adopted here: that home was gone. */
  severed: NodeName.nullable().default(null),
  /** The one that it runs in. */
  allocation: AllocationId.nullable().default(null),
  /** That is over, and what is here was told to end. */
  outlived: z.boolean().default(false),
  /** A person has had it cleared away while its home was gone; it is kept in mind until that home knows. */
  forgotten: z.string().nullable().default(null),
});
export type Copy = z.infer<typeof Copy>;

/** A copy that is about to be made. @param files the epoch under which its home's files are mounted here; null at home */
export const newCopy = (
  { job, epoch, home }: Pick<Copy, 'job' | 'epoch' | 'home'>,
  terms: Terms,
  made: Pick<Copy, 'cgroup' | 'report' | 'files' | 'launchedStopped'>,
): Copy => ({
  ...{ job, epoch, home, ...made },
  user: terms.user,
  limits: terms.limits,
  address: terms.address,
  terminal: terms.terminal,
  init: null,
  supervisor: `job:${job}:${epoch}`,
  ...{ mounts: [], shared: [], direct: [] },
  debugged: false,
  injury: null,
  network: null,
  shown: terms.shown,
  severed: null,
  allocation: terms.allocation,
  outlived: false,
  forgotten: null,
});

/** The copy lives here under another epoch from now on. */
export function renumber(copy: Copy, epoch: number): void {
  if (copy.epoch !== epoch) copy.network ??= copy.epoch;
  copy.epoch = epoch;
}

export const shownOf = ({ name, spec, started, moves }: HomedJob): Shown => ({
  name,
  command: spec.command,
  started,
  moves,
  ...(spec.array ? { array: spec.array } : {}),
});

/** What is told of it here; of a job that an older agent has sent, nothing but its id is known. */
export const toldOf = ({ job, shown }: Pick<Copy, 'job' | 'shown'>): Shown =>
  shown ?? { name: job, command: [job], started: new Date(0).toISOString(), moves: 0 };

/** The mount of its home's files; null at home itself, and where there are none any more. */
export const mountOf = ({ job, home, files, user, cgroup, severed }: Copy): MountOf | null =>
  files === null || severed !== null ? null : { job, epoch: files, home, uid: user.uid, cgroup };

export const locationOf = ({ job, user, cgroup, init, supervisor, report }: Copy): JobLocation =>
  JobLocation.parse({ job, user, cgroup, init, supervisor, report });

/** There are 64 (signal(7)). */
const MOST_SIGNAL = 64;

/** PID 1 ends as its program did: with its status, or 128 + the number of the signal that ended it. */
export function exitOf(end: End): Exit {
  if ('signal' in end) return { exit: 128 + end.signal, signal: signalName(end.signal) };
  const signal = end.code - 128;
  return { exit: end.code, signal: signal > 0 && signal <= MOST_SIGNAL ? signalName(signal) : null };
}
