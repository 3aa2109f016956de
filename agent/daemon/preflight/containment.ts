/** What a job has made of mounts and cgroups itself. */
import type { Obstacle } from '../../api/model';
import type { Looked } from '../../machine/criu/look';
import type { NameOf } from './naming';
import { obstacle } from './obstacles';

/** CRIU opens files by their paths, and these have none any more, or one that leads to another file. */
export const mountObstacles = ({ unmounted, covered, foreign }: Looked, nameOf: NameOf): Obstacle[] => [
  ...unmounted.map(({ pid, name }) => obstacle('mount-gone', { process: nameOf(pid), file: name })),
  ...covered.map(({ pid, name }) => obstacle('file-covered', { process: nameOf(pid), file: name })),
  ...foreign.map(({ type, at }) => obstacle('own-mount', { folder: at, kind: type })),
];

/**
 * Godwit puts a job's processes into its own cgroups, on each node anew. What the job has made of cgroups itself is in
 * the host's kernel, where nothing knows whose it is.
 */
export function cgroupObstacles({ cgroups, cgroupMounts }: Looked, nameOf: NameOf): Obstacle[] {
  const entered = cgroups.map(({ pid, group }) => {
    const [, controllers, ...path] = group.split(':');
    const shown = `${path.join(':')}${controllers && ` (${controllers})`}`;
    return obstacle('own-cgroup/entered', { process: nameOf(pid), group: shown });
  });
  return [...entered, ...cgroupMounts.map((folder) => obstacle('own-cgroup/mounted', { folder }))];
}

/** `made`: the names of cgroups within the job's own. */
export const subgroupObstacles = (made: string[]): Obstacle[] =>
  made.map((group) => obstacle('own-cgroup/made', { group }));
