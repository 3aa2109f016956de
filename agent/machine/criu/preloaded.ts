/** Libraries of Godwit's that mend one thing each in a CRIU that saves or restores a job. */
import { join } from 'node:path';

const withLibrary = (name: string): Record<string, string> => ({ LD_PRELOAD: join(__dirname, `${name}.so`) });

/** At a dump and at a restore: watches on symbolic links are on the links (agent/native/preload/links.c). */
export const watchingLinks = () => withLibrary('godwit-links');

/** At a restore: locks that other processes hold on a file of the job's are not waited for (agent/native/preload/locks.c). */
export const notWaitingForLocks = () => withLibrary('godwit-locks');

/** At a restore: a terminal's foreground process group may have ended (agent/native/preload/foreground.c). */
export const settingEndedForeground = () => withLibrary('godwit-foreground');
