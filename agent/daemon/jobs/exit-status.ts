/** How a job's program ended, as its PID 1 wrote it into a file. The job's user may write that file too. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { constants as os } from 'node:os';
import { z } from 'zod';
import { Exit } from '../../api/model';

/** The longest that PID 1 writes is 39 bytes (helper/init.c, `write_status`). */
const MOST_BYTES = 64;
/** Signals from this one on have no names (signal(7), "Real-time signals"); there are 64. */
const FIRST_UNNAMED = 32;
const LAST_SIGNAL = 64;

const Status = z
  .strictObject({ exit: Exit.shape.exit, signal: z.string().nullable() })
  .refine(({ exit, signal }) => signal === null || exit === 128 + numberOf(signal));

/** By the names that PID 1 gives them; NaN for any other. */
function numberOf(signal: string): number {
  const known = Object.entries(os.signals).find(([name]) => name === signal)?.[1];
  const number = known ?? Number(/^SIG(\d\d)$/.exec(signal)?.[1]);
  return known !== undefined || (number >= FIRST_UNNAMED && number <= LAST_SIGNAL) ? number : Number.NaN;
}

/** What PID 1 wrote when the program ended; null where it did not come to that, or the file has other content. */
export async function readStatus(path: string): Promise<Pick<Exit, 'exit' | 'signal'> | null> {
  try {
    return Status.parse(JSON.parse(await readBounded(path)));
  } catch {
    return null;
  }
}

/** Never blocks (O_NONBLOCK: a FIFO without a writer), and follows no link. */
async function readBounded(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if (!(await file.stat()).isFile()) return '';
    const { bytesRead, buffer } = await file.read(Buffer.alloc(MOST_BYTES + 1), 0, MOST_BYTES + 1, 0);
    return bytesRead > MOST_BYTES ? '' : buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}
