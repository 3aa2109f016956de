/** Resource limits of a process, as the kernel tells them. */
import { z } from 'zod';
import { dictionary } from './bounded';

/** `null`: unlimited. */
const Bound = z.int().min(0).nullable();
/** Resource limits by their names in lower case without `RLIMIT_` (getrlimit(2)); those of time and memory in its units. */
export const Resource = z.enum([
  'as',
  'core',
  'cpu',
  'data',
  'fsize',
  'memlock',
  'msgqueue',
  'nice',
  'nofile',
  'nproc',
  'rss',
  'rtprio',
  'rttime',
  'sigpending',
  'stack',
]);
export type Resource = z.infer<typeof Resource>;
export const Resources = dictionary(Resource, z.object({ soft: Bound, hard: Bound }), {
  most: Resource.options.length,
});
export type Resources = z.infer<typeof Resources>;

/** The rows of /proc/PID/limits (man 5 proc_pid_limits) by the names of getrlimit(2). */
const ROWS: Record<Resource, string> = {
  as: 'Max address space',
  core: 'Max core file size',
  cpu: 'Max cpu time',
  data: 'Max data size',
  fsize: 'Max file size',
  memlock: 'Max locked memory',
  msgqueue: 'Max msgqueue size',
  nice: 'Max nice priority',
  nofile: 'Max open files',
  nproc: 'Max processes',
  rss: 'Max resident set',
  rtprio: 'Max realtime priority',
  rttime: 'Max realtime timeout',
  sigpending: 'Max pending signals',
  stack: 'Max stack size',
};

/** The limits in a text of /proc/PID/limits; what the kernel does not tell is left out. */
export function parseLimits(text: string): Resources {
  const lines = text.split('\n');
  const number = (word: string) => (word === 'unlimited' ? null : Number(word));
  const found: Resources = {};
  for (const name of Resource.options) {
    const line = lines.find((row) => row.startsWith(`${ROWS[name]} `));
    const [soft, hard] = line?.slice(ROWS[name].length).trim().split(/\s+/) ?? [];
    if (soft !== undefined && hard !== undefined) found[name] = { soft: number(soft), hard: number(hard) };
  }
  return found;
}
