import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { commandFailed } from '../machine/command';
import { labBusy } from './errors';

/** Root's alone: a process that can open a lock can hold it. */
const LOCKS = '/run/godwit/locks';

/**
 * Holds a lab while its parts are made or removed. The lock is flock(1)'s, and ends with this process: the holder reads
 * until its end.
 * @throws GodwitError `lab-busy`, `command-failed`
 */
export async function withLock<T>(lab: string, action: () => Promise<T>): Promise<T> {
  await mkdir(join(LOCKS, '..'), { recursive: true, mode: 0o755 });
  await mkdir(LOCKS, { recursive: true, mode: 0o700 });
  const argv = ['--exclusive', '--nonblock', '--no-fork', join(LOCKS, lab), 'sh', '-c', 'echo; exec cat'];
  const holder = spawn('flock', argv, { stdio: ['pipe', 'pipe', 'ignore'] });
  const ended = once(holder, 'close').catch((error) => {
    throw commandFailed('flock', error);
  });
  const held = await Promise.race([once(holder.stdout, 'data').then(() => true), ended.then(() => false)]);
  if (!held) throw labBusy(lab);
  try {
    return await action();
  } finally {
    holder.stdin.end();
    await ended;
  }
}
