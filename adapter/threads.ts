/** The threads as the editor lists them: one question for all of them, and no frame of any. */
import { z } from 'zod';

/** cdt-gdb-adapter keeps them with whether they run. */
export interface Thread {
  id: number;
  name: string;
  running: boolean;
  lastRunToken: string | undefined;
}

export const Threads = z.array(z.object({ id: z.int(), name: z.string() }));

export const standing = (threads: z.infer<typeof Threads>): Thread[] =>
  threads
    .map((thread) => ({ ...thread, running: false, lastRunToken: undefined }))
    .sort((a, b) => a.id - b.id);
