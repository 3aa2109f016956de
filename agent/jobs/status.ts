import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Exit } from '../api/model';

/** The status that PID 1 wrote when the program ended; null if it did not come to it. */
export async function readStatus(path: string): Promise<Exit | null> {
  const Status = z.object({ exit: z.int(), signal: z.string().nullable() });
  const text = await readFile(path, 'utf8').catch(() => '');
  try {
    return Status.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
