/** What processes hold of one file system, found without asking that file system: it may be one that does not answer. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { parseMounts, statusField } from './parse';
import { type JobProcess, jobProcesses, type ProcessSource } from './processes';

/** PID 1 of a job is Godwit's own. */
const INIT = 1;

export interface HeldFile {
  /** As the job names it. */
  path: string;
  /** By which process, as the job numbers it. */
  pid: number;
  comm: string;
}

/**
 * The files of the file system that is mounted at `at` here which the job's processes have open or mapped; PID 1 is left
 * out. Working directories are not among them: they name a place, and hold nothing that a program reads.
 */
export async function heldFiles(job: ProcessSource, at: string): Promise<HeldFile[]> {
  const device = parseMounts(await readFile('/proc/self/mountinfo', 'utf8')).findLast(
    (mount) => mount.at === at,
  )?.device;
  if (device === undefined) return [];
  const programs = (await jobProcesses(job)).filter(({ inner }) => inner !== INIT);
  const held = await Promise.all(programs.map((process) => heldBy(process, device)));
  return held.flat();
}

async function heldBy({ pid, inner, comm }: JobProcess, device: string): Promise<HeldFile[]> {
  const paths = [...(await opened(pid, device)), ...(await mapped(pid, device))];
  return [...new Set(paths)].map((path) => ({ path, pid: inner, comm }));
}

async function opened(pid: number, device: string): Promise<string[]> {
  const mounts = parseMounts(await read(`/proc/${pid}/mountinfo`));
  const ids = new Set(mounts.filter((mount) => mount.device === device).map(({ id }) => id));
  const names = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const found = await Promise.all(
    names.map(async (name) => {
      const id = statusField(await read(`/proc/${pid}/fdinfo/${name}`), 'mnt_id');
      return id !== undefined && ids.has(id) ? readlink(`/proc/${pid}/fd/${name}`).catch(() => null) : null;
    }),
  );
  return found.filter((path) => path !== null);
}

/** A line of maps: range, rights, offset, device in hexadecimal numbers, inode, path (man 5 proc_pid_maps). */
const MAPPING = /^\S+ \S+ \S+ ([0-9a-f]+):([0-9a-f]+) \d+ +(.*)$/;

async function mapped(pid: number, device: string): Promise<string[]> {
  const lines = (await read(`/proc/${pid}/maps`)).split('\n');
  return lines.flatMap((line) => {
    const [, major = '', minor = '', path = ''] = MAPPING.exec(line) ?? [];
    const own = `${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}`;
    return own === device ? [path] : [];
  });
}

/** Nothing of a process that has gone. */
const read = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');
