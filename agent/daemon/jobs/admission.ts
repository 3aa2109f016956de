/** What a launch may ask for. */
import { GodwitError } from '../../api/errors';
import type { LaunchRequest, User } from '../../api/model';
import type { PerUser } from '../../api/per-user';
import type { Resources } from '../../api/resources';

/**
 * execve(2) takes a quarter of the stack's limit, 8 MiB by default. A part of it is the helper's own: the mounts of the
 * job, and a mark on each variable.
 */
const MOST_BYTES = 2 * 1024 * 1024 - 256 * 1024;
/** 32 pages, a mark and the zero byte off (MAX_ARG_STRLEN, linux/binfmts.h). */
const MOST_WORD_BYTES = 128 * 1024 - 16;
/** A pointer to each word, and the zero byte at its end. */
const BYTES_BESIDE = 9;

/** @throws GodwitError `too-long` where no kernel would start the program with all that */
export function assertStartable({
  program,
  args,
  env,
}: Pick<LaunchRequest, 'program' | 'args' | 'env'>): void {
  let all = 0;
  for (const word of [program, ...args]) all += sizeOf(word, 'an argument');
  for (const [name, value] of Object.entries(env)) all += sizeOf(`${name}=${value}`, 'a variable');
  if (all > MOST_BYTES) throw tooLong('arguments and environment together take', all, MOST_BYTES);
}

function sizeOf(word: string, what: string): number {
  const bytes = Buffer.byteLength(word);
  if (bytes > MOST_WORD_BYTES) throw tooLong(`${what} takes`, bytes, MOST_WORD_BYTES);
  return bytes + BYTES_BESIDE;
}

const tooLong = (what: string, bytes: number, most: number) =>
  new GodwitError({
    code: 'too-long',
    message: `the program can't be started: ${what} ${bytes} bytes, and ${most} may be`,
    fix: 'pass long data in a file',
  });

/** The limits with which a user's job runs: no more processes than they may have. Root's are as they were asked for. */
export function boundedResources(
  resources: Resources | undefined,
  user: User,
  { processes }: PerUser,
): Resources | undefined {
  if (user.uid === 0) return resources;
  const { soft, hard } = resources?.nproc ?? { soft: null, hard: null };
  const bounded = (asked: number | null) => Math.min(asked ?? processes, processes);
  return { ...resources, nproc: { soft: bounded(soft), hard: bounded(hard) } };
}
