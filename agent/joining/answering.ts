/** Whether an agent or a keeper answers, and what it says where it does not. */
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { asGodwitError } from '../api/errors';
import { messageOf } from '../log';
import { RESTARTED } from '../machine/daemons/supervised';
import { connectUnix } from '../wire/client';

/** How long a node that is up may take to answer, on a busy machine. */
const ANSWER_TIMEOUT_MS = 10_000;
/** Starting Node and opening a journal take a second; on a machine that does much else, many. */
const START_DEADLINE_MS = 120_000;
const POLL_MS = 20;
/** Of a log; its last line is shorter. */
const END_BYTES = 64 * 1024;

/** Only the hello is requested: an agent that answers it is up. */
export async function answers(socket: string): Promise<'up' | 'down' | 'refused' | 'of-another-version'> {
  try {
    const options = { name: 'lab', kind: 'client', contract: {}, timeoutMs: ANSWER_TIMEOUT_MS } as const;
    const remote = await connectUnix(socket, options);
    remote.close();
    return 'up';
  } catch (error) {
    const { code } = asGodwitError(error);
    if (code === 'wrong-version') return 'of-another-version';
    return code === 'not-admitted' ? 'refused' : 'down';
  }
}

/** Returns null when it answers, or why it will not: what `ended` says, or that it takes too long. */
export async function waitForAnswer(
  socket: string,
  ended: () => Promise<string | null>,
): Promise<string | null> {
  const deadline = performance.now() + START_DEADLINE_MS;
  for (;;) {
    const found = await answers(socket);
    if (found === 'up') return null;
    if (found === 'of-another-version') return 'it is of a version that this one can not speak with';
    const why = await ended();
    if (why !== null) return why;
    if (performance.now() > deadline) return `it does not answer after ${START_DEADLINE_MS} ms`;
    await sleep(POLL_MS);
  }
}

/** The last line of a daemon's own in its log; empty where there is none to read. */
export async function lastLogLine(log: string): Promise<string> {
  const lines = (await endOf(log)).trim().split('\n');
  // What its supervisor writes comes after that.
  return (
    lines
      .map(messageOf)
      .filter((line) => line !== RESTARTED)
      .at(-1) ?? ''
  );
}

async function endOf(path: string): Promise<string> {
  const file = await open(path).catch(() => null);
  if (!file) return '';
  try {
    const { size } = await file.stat();
    const buffer = Buffer.alloc(Math.min(size, END_BYTES));
    await file.read(buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString();
  } finally {
    await file.close();
  }
}
