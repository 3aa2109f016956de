/** What is on its way through the terminal of a frozen job, carried beside CRIU's images: see helper/queues.c. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { GodwitError } from '../api/errors';

const FILE = 'terminal-queues';
/** It reads and writes some kilobytes. */
const DEADLINE_MS = 10_000;

interface Terminal {
  helper: string;
  /** PID 1, as this node numbers it. */
  init: number;
  /** The cgroup that its processes are in. */
  run: string;
  /** Folder for the images. */
  images: string;
}

const run = promisify(execFile);

async function work(verb: string, { helper, init, run: cgroup, images }: Terminal): Promise<void> {
  try {
    const orders = [verb, `${init}`, cgroup, join(images, FILE)];
    await run(helper, orders, { timeout: DEADLINE_MS, killSignal: 'SIGKILL' });
  } catch (error) {
    const said = (error as { stdout?: string }).stdout?.trim() || (error as Error).message;
    throw new GodwitError({ code: 'terminal-failed', message: `the job's terminal can't be saved: ${said}` });
  }
}

/** Into the images, out of the terminal. The job is frozen. */
export const takeQueues = (terminal: Terminal) => work('take-queues', terminal);
/** Back, out of the images, once. The job is frozen. */
export const putQueues = (terminal: Terminal) => work('put-queues', terminal);
