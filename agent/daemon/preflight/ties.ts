/** What ties a job's processes to others outside it, or apart from each other. */
import type { Obstacle } from '../../api/model';
import { inodeOf, type Looked } from '../../machine/criu/look';
import type { JobProcess } from '../../machine/proc/processes';

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

type Who = (pid: number) => string;

/** `debugged`: the processes, as this node numbers them, that stubs of Godwit are attached to. */
export function tracerObstacles(
  { traced }: Looked,
  processes: JobProcess[],
  debugged: Set<number>,
  who: Who,
): Obstacle[] {
  const own = new Set(processes.map(({ pid }) => pid));
  const ours = new Set(traced.filter(({ pid }) => debugged.has(pid)).map(({ tracer }) => tracer));
  return traced
    .filter(({ tracer }) => !ours.has(tracer))
    .map(({ pid, tracer }) => ({
      code: 'traced',
      what: own.has(tracer)
        ? `${who(pid)} is traced by another process of the job`
        : `${who(pid)} is traced by a process outside the job (${tracer} on its node)`,
      fix: 'end the tracer (strace, gdb); debug it with `godwit gdb` instead',
    }));
}

/** CRIU opens files by their paths, and these have none any more. */
export function mountObstacles({ unmounted, foreign }: Looked, who: Who): Obstacle[] {
  const gone = unmounted.map(({ pid, name }) => ({
    code: 'mount-gone',
    what: `${who(pid)} uses ${name} on a mount that its home no longer has`,
    fix: 'have the program close it, or leave that folder',
  }));
  const unknown = foreign.map(({ type, at }) => ({
    code: 'own-mount',
    what: `the job has mounted ${at} itself, of the kind ${type}, whose content can't travel`,
    fix: 'have the job unmount it, or mount it at its home before the launch',
  }));
  return [...gone, ...unknown];
}

/** CRIU gives a process its program anew, which the kernel allows only of what could be executed. */
export const programObstacles = ({ locked }: Looked, who: Who): Obstacle[] =>
  locked.map(({ pid, name }) => ({
    code: 'program-not-executable',
    what: `${who(pid)} runs ${name}, which nobody may execute any more`,
    fix: 'make the file executable again (chmod +x)',
  }));

export function namespaceObstacles({ namespaces }: Looked, who: Who): Obstacle[] {
  return namespaces.flatMap(({ pid, name }) => {
    const kind = NESTED[name.replace(OF_CHILDREN, '')];
    if (!kind) return [];
    const is = name.endsWith(OF_CHILDREN) ? 'puts its children into' : 'is in';
    return [
      {
        code: 'nested-namespace',
        what: `${who(pid)} ${is} a ${kind} namespace of its own`,
        fix: 'run the job without a container or sandbox of its own',
      },
    ];
  });
}

export function policyObstacles({ scheduled }: Looked, who: Who): Obstacle[] {
  return scheduled.map(({ pid, policy }) => ({
    code: 'scheduling-policy',
    what: `${who(pid)} has the scheduling policy SCHED_${policy.toUpperCase()}, which CRIU can't bring back`,
    fix: 'have the program choose another policy before the move (chrt -o -p 0 TID)',
  }));
}

/** The kernel keeps what it would undo to itself, so it can't be brought back. */
export function semaphoreObstacles({ undoing }: Looked, who: Who): Obstacle[] {
  return [...new Set(undoing)].map((pid) => ({
    code: 'semaphore-undo',
    what: `${who(pid)} has threads, or operations that its end would undo (SEM_UNDO), in a job with System V semaphores`,
    fix: 'use POSIX semaphores, or remove the System V ones before the move',
  }));
}

/**
 * Godwit puts a job's processes into its own cgroups, on each node anew. What the job has made of cgroups itself is in
 * the host's kernel, where nothing knows whose it is.
 */
export function cgroupObstacles({ cgroups, cgroupMounts }: Looked, who: Who): Obstacle[] {
  const made = cgroups.map(({ pid, group }) => {
    const [, controllers, ...path] = group.split(':');
    return `${who(pid)} is in the cgroup ${path.join(':')}${controllers && ` (${controllers})`}, which is not Godwit's`;
  });
  const mounted = cgroupMounts.map((at) => `the job has mounted cgroups at ${at}`);
  return [...made, ...mounted].map(ownCgroup);
}

/** `made`: the names of cgroups within the job's own. */
export const subgroupObstacles = (made: string[]): Obstacle[] =>
  made.map((name) => ownCgroup(`the job has made the cgroup ${name} within its own`));

const ownCgroup = (what: string): Obstacle => ({
  code: 'own-cgroup',
  what,
  fix: 'have the job leave cgroups alone; `run` has --cpus, --memory and --processes',
});

/** The kernel shows such a process as a zombie, though it runs. One that has ended while it was looked at has one thread. */
export function endedThreads(processes: JobProcess[], who: Who): Obstacle[] {
  return processes
    .filter(({ state, threads }) => state === 'Z' && threads > 1)
    .map(({ pid }) => ({
      code: 'thread-ended',
      what: `${who(pid)} goes on without its first thread, which CRIU can't save`,
      fix: 'wait for its end',
    }));
}

/** Unix sockets whose other end nobody in the job has. */
export function externalSockets({ held, peers }: Looked, who: Who): Obstacle[] {
  const own = new Set(held.map(({ name }) => inodeOf(name)));
  return held.flatMap(({ pid, name }) => {
    const peer = peers.get(inodeOf(name));
    // A peer that has gone, or was not accepted yet, has no number.
    if (!peer || own.has(peer)) return [];
    return [
      {
        code: 'external-socket',
        what: `${who(pid)} is connected to a process outside the job over a Unix socket`,
        fix: 'close that connection, or run both ends in one job',
      },
    ];
  });
}
