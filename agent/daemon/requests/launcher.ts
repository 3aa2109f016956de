/**
 * The limits of the process that launches a job. A client may ask for anything; what it may have is what the kernel
 * says of the process that connected (socket(7), SO_PEERCRED).
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import type { Caller } from '../../api/contract';
import { GodwitError } from '../../api/errors';
import { PROGRAM_PID } from '../../api/model';
import { parseLimits, Resource, type Resources } from '../../api/resources';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { nodePid } from '../../machine/proc/processes';
import type { Copy } from '../jobs/copy';

/** The helper reads two small files of the kernel's; the rest is for a busy machine. */
const DEADLINE_MS = 30_000;

const unknownLauncher = (why: string) =>
  new GodwitError({
    code: 'unknown-launcher',
    message: `the job is not launched: the limits of the process that asks can't be known: ${why}`,
    fix: 'ask again from a process of that user that stays until it is answered',
  });

/**
 * The request with limits that are nowhere beyond those of the process that makes it, which also count where it names
 * none. Root's are its own to choose. @throws `unknown-launcher`
 */
export async function withinOwnLimits<R extends { resources?: Resources | undefined }>(
  request: R,
  { user, connection }: Pick<Caller, 'user' | 'connection'>,
  helper: string,
): Promise<R> {
  if (!user) return request;
  const own = await limitsOfPeer(connection?.transport, user.uid, helper);
  return { ...request, resources: capped(request.resources ?? {}, own) };
}

/**
 * The same for a request that a program of a job makes: nowhere beyond the limits that the job's own program has, which is as
 * many as the kernel lets a user's processes have. @throws `unknown-launcher`
 */
export async function withinLimitsOf<R extends { resources?: Resources | undefined }>(
  { user, cgroup }: Pick<Copy, 'user' | 'cgroup'>,
  request: R,
): Promise<R> {
  if (user.uid === 0) return request;
  const group = JobCgroup.at(cgroup);
  const pid = await nodePid(group, PROGRAM_PID).catch(() => null);
  const table = pid === null ? '' : await readFile(`/proc/${pid}/limits`, 'utf8').catch(() => '');
  // Its number is not another's now.
  if (pid === null || (await nodePid(group, PROGRAM_PID).catch(() => null)) !== pid)
    throw unknownLauncher('the job has ended');
  return { ...request, resources: capped(request.resources ?? {}, parseLimits(table)) };
}

function capped(asked: Resources, own: Resources): Resources {
  const found: Resources = {};
  for (const name of Resource.options) {
    const most = own[name];
    if (!most) throw unknownLauncher(`the kernel does not tell its limit of ${name}`);
    const { soft, hard } = asked[name] ?? most;
    const least = lower(hard, most.hard);
    found[name] = { soft: lower(soft, least), hard: least };
  }
  return found;
}

/** `null`: unlimited. */
const lower = (a: number | null, b: number | null) => (a === null || b === null ? (a ?? b) : Math.min(a, b));

async function limitsOfPeer(transport: unknown, uid: number, helper: string): Promise<Resources> {
  // Given to a child as a stream, Node.js would stop reading it here.
  const fd = (transport as { _handle?: { fd?: number } } | undefined)?._handle?.fd;
  if (fd === undefined || fd < 0) throw unknownLauncher('its connection has gone');
  const asked = spawn(helper, ['peer', `${uid}`], {
    stdio: ['ignore', 'pipe', 'ignore', fd],
    timeout: DEADLINE_MS,
    killSignal: 'SIGKILL',
  });
  const [said, [status]] = await Promise.all([text(asked.stdout!), once(asked, 'close')]);
  if (status === 0) return parseLimits(said);
  throw unknownLauncher(/"stage":"gone"/.test(said) ? 'it has ended' : 'it is not wholly of that user');
}
