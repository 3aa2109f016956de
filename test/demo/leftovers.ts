/** What of the demonstration is still on this machine: nothing, when all went as it must. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { labFolder } from '../../agent/lab/description';

/** @returns one line for each thing, none where nothing is left */
export function leftovers(lab: string, folder: string): string[] {
  const paths = [labFolder(lab), folder];
  const named = (text: string) => paths.some((path) => text.includes(path));
  return [
    ...paths.filter((path) => existsSync(path)).map((path) => `folder ${path}`),
    ...processes().flatMap(({ pid, command }) => (named(command) ? [`process ${pid}, ${command}`] : [])),
    ...read('/proc/self/mountinfo')
      .split('\n')
      .flatMap((line) => (named(line) ? [`mount ${line.split(' ')[4]}`] : [])),
    ...cgroups(lab).map((path) => `cgroup ${path}`),
  ];
}

function processes(): { pid: string; command: string }[] {
  const pids = list('/proc').filter((name) => /^\d+$/.test(name) && name !== String(process.pid));
  return pids.map((pid) => ({ pid, command: read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim() }));
}

/** In all hierarchies, of both versions. */
function cgroups(lab: string): string[] {
  const mounts = [...read('/proc/mounts').matchAll(/^\S+ (\S+) cgroup2? /gm)].map(([, path]) => path!);
  const folders = mounts.map((path) => join(path, 'godwit'));
  return folders.flatMap((path) =>
    list(path)
      .filter((name) => new RegExp(`^${lab}-node\\d+$`).test(name))
      .map((name) => join(path, name)),
  );
}

/** What has gone meanwhile is not there. */
function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
