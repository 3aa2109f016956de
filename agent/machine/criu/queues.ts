/** What is on its way through the terminals of a frozen job, carried beside CRIU's images: see helper/queues.c. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { GodwitError } from '../../api/errors';
import { execute } from '../execution';
import { asTold, type Frozen } from './frozen';
import type { NotedDescriptor } from './noted';

const FILE = 'terminal-queues';
/** It reads and writes some kilobytes a terminal. */
const DEADLINE_MS = 30_000;
/** As the notes call them: the master's device, and a slave's with its number (hexadecimal, as its major). */
const MASTER = 'device 20000 5:2';
const SLAVE = /^device 20000 88:([0-9a-f]+)$/;

async function work({ helper, run: cgroup, images }: Frozen, verb: string, more: string[]): Promise<void> {
  try {
    const orders = [verb, '--cgroup', cgroup, '--file', join(images, FILE), ...more];
    await execute(helper, orders, { timeout: DEADLINE_MS, killSignal: 'SIGKILL' });
  } catch (error) {
    const output = (error as { stdout?: string }).stdout?.trim() || (error as Error).message;
    throw new GodwitError({
      code: 'terminal-failed',
      message: `what is on its way through the job's terminals can't be carried: ${output}`,
    });
  }
}

/** Into the images, out of the terminals. `noted`: what the job holds; one without terminals costs no more. */
export async function takeQueues(frozen: Frozen, noted: NotedDescriptor[]): Promise<void> {
  const masters = noted.filter(({ token }) => token === MASTER);
  if (masters.length === 0) return;
  const opened = noted.flatMap(({ token }) => SLAVE.exec(token)?.[1] ?? []);
  await work(frozen, 'take-queues', [
    ...[...new Set(opened)].flatMap((number) => ['--opened', `${Number.parseInt(number, 16)}`]),
    '--',
    ...asTold(frozen, masters),
  ]);
}

/** Back, out of the images, once. The job is frozen, here or in a copy that has just been restored. */
export async function putQueues(frozen: Frozen): Promise<void> {
  if (!(await isThere(join(frozen.images, FILE)))) return;
  await work(frozen, 'put-queues', ['--', ...frozen.processes.map(({ pid }) => `${pid}`)]);
}

const isThere = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );
