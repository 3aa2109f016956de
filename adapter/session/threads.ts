/** The threads as the editor lists them: one question for all of them, and no frame of any. */
import type { Answer } from '../gdb/contract';

/** cdt-gdb-adapter keeps them with whether they run. */
export interface Thread {
  id: number;
  name: string;
  running: boolean;
  lastRunToken: string | undefined;
}

export const standing = (threads: Answer<'threads'>): Thread[] =>
  threads
    .map((thread) => ({ ...thread, running: false, lastRunToken: undefined }))
    .sort((a, b) => a.id - b.id);
