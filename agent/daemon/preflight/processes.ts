/** Processes and threads that CRIU can't bring back as they are. */
import type { Obstacle } from '../../api/model';
import type { Looked } from '../../machine/criu/look';
import type { JobProcess } from '../../machine/proc/processes';
import type { Passing } from './lasting';
import type { NameOf } from './naming';
import { obstacle } from './obstacles';

/**
 * Namespaces that CRIU can't bring back within a job, whose own are the same for all its processes. It does so with those
 * of mounts, which only root's jobs can have without one of users.
 */
const NESTED: Readonly<Record<string, string>> = {
  pid: 'PID',
  user: 'user',
  net: 'network',
  uts: 'UTS',
  ipc: 'IPC',
  cgroup: 'cgroup',
  time: 'time',
};
const OF_CHILDREN = '_for_children';

const OF_THREADS: Readonly<Record<string, string>> = {
  ...{ descriptors: 'descriptors', places: 'folders and file mode mask' },
  ...{ mnt: 'mount namespace', pid_for_children: 'PID namespace for children' },
  ...{ time_for_children: 'time namespace for children' },
};

/**
 * What each process is between vfork and exec, and what some stay: one memory for two, and the like. CRIU brings back
 * descriptors of several processes if they go down from one, parents before children.
 */
export function sharedObstacles(
  { sharing, apart }: Looked,
  processes: JobProcess[],
  nameOf: NameOf,
): Passing[] {
  const parentOf = new Map(processes.map(({ pid, parent }) => [pid, parent]));
  const ofOne = (other: number) => [
    other,
    ...sharing.filter((one) => one.what === 'descriptors' && one.other === other).map(({ pid }) => pid),
  ];
  const goDown = (other: number) => {
    const group = ofOne(other);
    return group.filter((pid) => !group.includes(parentOf.get(pid) ?? 0)).length === 1;
  };
  const together = sharing
    .filter(({ what, other }) => what !== 'descriptors' || !goDown(other))
    .map(({ pid, other, what }) => {
      const said = OF_THREADS[what] ?? what;
      const names = { process: nameOf(pid), other: nameOf(other), what: said };
      return { name: `${what} ${pid} ${other}`, obstacle: obstacle('shared-process/with', names) };
    });
  const threads = apart.map(({ pid, thread, what }) => {
    const said = OF_THREADS[what] ?? `${NESTED[what] ?? what} namespace`;
    return {
      name: `${what} ${pid} ${thread}`,
      obstacle: obstacle('shared-process/thread', { process: nameOf(pid), what: said }),
    };
  });
  return [...together, ...threads];
}

/** CRIU is told by this signal of what it does inside a process, and gives up where one waits. */
export const trapObstacles = ({ trapped }: Looked, nameOf: NameOf): Passing[] =>
  trapped.map(({ pid, thread }) => ({
    name: `trap ${thread}`,
    obstacle: obstacle('pending-trap', { process: nameOf(pid) }),
  }));

/**
 * A reader of stacks holds a process for a moment only.
 * @param debugged the processes, as this node numbers them, that stubs of Godwit are attached to
 */
export function tracerObstacles(
  { traced }: Looked,
  processes: JobProcess[],
  debugged: Set<number>,
  nameOf: NameOf,
): Passing[] {
  const own = new Set(processes.map(({ pid }) => pid));
  const ours = new Set(traced.filter(({ pid }) => debugged.has(pid)).map(({ tracer }) => tracer));
  return traced
    .filter(({ tracer }) => !ours.has(tracer))
    .map(({ pid, tracer }) => {
      const process = nameOf(pid);
      const found = own.has(tracer)
        ? obstacle('traced/inside', { process })
        : obstacle('traced/outside', { process, tracer });
      return { name: `traced ${pid} ${tracer}`, obstacle: found };
    });
}

export function namespaceObstacles({ namespaces }: Looked, nameOf: NameOf): Obstacle[] {
  return namespaces.flatMap(({ pid, name }) => {
    const kind = NESTED[name.replace(OF_CHILDREN, '')];
    if (!kind) return [];
    const which = name.endsWith(OF_CHILDREN) ? 'nested-namespace/children' : 'nested-namespace/own';
    return [obstacle(which, { process: nameOf(pid), kind })];
  });
}

/** CRIU gives a process its program anew, which the kernel allows only of what could be executed. */
export const programObstacles = ({ locked }: Looked, nameOf: NameOf): Obstacle[] =>
  locked.map(({ pid, name }) => obstacle('program-not-executable', { process: nameOf(pid), file: name }));

export const policyObstacles = ({ scheduled }: Looked, nameOf: NameOf): Obstacle[] =>
  scheduled.map(({ pid, policy }) =>
    obstacle('scheduling-policy', { process: nameOf(pid), policy: policy.toUpperCase() }),
  );

/** The kernel keeps what it would undo to itself, so it can't be brought back. */
export const semaphoreObstacles = ({ undoing }: Looked, nameOf: NameOf): Obstacle[] =>
  [...new Set(undoing)].map((pid) => obstacle('semaphore-undo', { process: nameOf(pid) }));

/** The kernel shows such a process as a zombie, though it runs. One that has ended while it was looked at has one thread. */
export const endedThreads = (processes: JobProcess[], nameOf: NameOf): Obstacle[] =>
  processes
    .filter(({ state, threads }) => state === 'Z' && threads > 1)
    .map(({ pid }) => obstacle('thread-ended', { process: nameOf(pid) }));
