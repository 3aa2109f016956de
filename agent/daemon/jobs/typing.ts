/**
 * Typing into a job's terminal: frames into the pipe that its PID 1 holds, see helper/terminal.c. The helper writes
 * each (type.c), a process a frame: what is a descriptor of PID 1's is its user's to exchange, and only system calls
 * that Node.js lacks share one instead of opening it anew. Nothing stays open: PID 1 says by the position of a
 * descriptor which frame it took last. One that may not have arrived is sent again, here or where the job is then: PID 1
 * takes each byte of a client once.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { Typed } from '../../api/client-contract';
import { GodwitError, jobMoving } from '../../api/errors';
import { GrowingPause } from '../../api/retry';
import { parseJson, parseWith } from '../../api/schema';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { statusField } from '../../machine/proc/parse';
import type { Copies } from './copies';

/** PID 1's descriptor, see helper/helper.h and terminal.c. */
const STATUS = 4;
const HEAD_BYTES = 32;
/** A file's position may be any that the kernel's types of files take: 40 bits are safe. */
const ID_BYTES = 5;
/** PID 1 takes a frame in well under a millisecond, unless its program does not read. */
const PAUSES = { firstMs: 1, mostMs: 50 };
/** The helper waits for room in the pipe for half a second; the rest is for a busy machine. */
const FEED_DEADLINE_MS = 30_000;

const Fed = z.union([
  z.object({ fed: z.boolean() }),
  z.object({ error: z.object({ stage: z.string(), message: z.string() }) }),
]);
const WHAT = "the helper's answer";

const run = promisify(execFile);

export type TypedBytes = z.output<typeof Typed>;

interface Typing extends TypedBytes {
  job: string;
  helper: string;
  /** The cgroup that the job's processes are in. */
  run: string;
  /** PID 1, as this node numbers it. */
  init: number;
  /** False once the copy is on its way, or has ended. */
  here: () => boolean;
  signal: AbortSignal;
}

/**
 * Types into the terminal of a job that is here; resolves when the terminal has all of it.
 * @throws `job-moving` when the job is on its way, also if some of it was taken; `terminal-exchanged`, `cancelled`
 */
export async function typeInto(
  job: string,
  typed: TypedBytes,
  { copies, helper, signal }: { copies: Copies; helper: string; signal: AbortSignal },
): Promise<void> {
  const copy = copies.settled(job);
  const { init } = copy;
  if (init === null) throw jobMoving(job);
  const here = () => copies.has(copy) && !copies.isLeaving(job);
  const { run } = JobCgroup.at(copy.cgroup);
  await type({ ...typed, job, helper, run, init, here, signal });
}

async function type(typing: Typing): Promise<void> {
  const id = randomBytes(ID_BYTES).readUIntBE(0, ID_BYTES);
  const frame = frameOf(id, typing);
  await until(typing, () => typeFrame(typing, frame));
  await until(typing, async () => (await lastTaken(typing.init)) === id);
}

async function until({ job, here, signal }: Typing, isSo: () => Promise<boolean>): Promise<void> {
  const pause = new GrowingPause(PAUSES);
  while (!(await isSo())) {
    if (!here()) throw jobMoving(job);
    if (signal.aborted) throw cancelled();
    await pause.wait();
  }
}

function frameOf(id: number, { client, at, bytes, rows = 0, columns = 0, redraw }: Typing): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeBigUInt64LE(BigInt(id), 0);
  head.writeBigUInt64LE(BigInt(`0x${client}`), 8);
  head.writeBigUInt64LE(BigInt(at), 16);
  const data = Buffer.from(bytes, 'base64');
  for (const [index, value] of [data.length, rows, columns, redraw ? 1 : 0].entries())
    head.writeUInt16LE(value, 24 + 2 * index);
  return Buffer.concat([head, data]);
}

/** False while the pipe is full. The kernel takes the frame whole or not at all (PIPE_BUF, pipe(7)). */
async function typeFrame(
  { job, helper, run: cgroup, init, signal }: Typing,
  frame: Buffer,
): Promise<boolean> {
  const options = { signal, timeout: FEED_DEADLINE_MS, killSignal: 'SIGKILL' } as const;
  const working = run(helper, ['type', `${init}`, cgroup], options);
  // One that ends before it has read the frame says why.
  working.child.stdin!.on('error', () => {}).end(frame);
  const said = await working.then(
    ({ stdout }) => stdout,
    (error: { stdout?: string; message: string }) => {
      if (signal.aborted) throw cancelled();
      if (!error.stdout) throw cannotType(job, error.message);
      return error.stdout;
    },
  );
  const answer = parseWith(Fed, parseJson(WHAT, said), WHAT);
  if ('fed' in answer) return answer.fed;
  if (answer.error.stage === 'gone') throw jobMoving(job);
  throw answer.error.stage === 'pipe' ? exchanged(job) : cannotType(job, answer.error.message);
}

const cancelled = () => new GodwitError({ code: 'cancelled', message: 'the input was cancelled' });

const cannotType = (job: string, why: string) =>
  new GodwitError({ code: 'cannot-type', message: `job ${job} can't be typed into: ${why}` });

const exchanged = (job: string) =>
  new GodwitError({
    code: 'terminal-exchanged',
    message: `job ${job} can't be typed into: descriptor 8 of its process 1 is no longer the pipe of its terminal`,
    fix: 'end it with `godwit kill` and run it anew',
  });

/** Null when the process has gone. */
async function lastTaken(init: number): Promise<number | null> {
  const info = await readFile(`/proc/${init}/fdinfo/${STATUS}`, 'utf8').catch(() => null);
  return info === null ? null : Number(statusField(info, 'pos'));
}
