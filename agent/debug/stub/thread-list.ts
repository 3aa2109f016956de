/**
 * The list of threads that a client reads (`qXfer:threads:read`, GDB manual, "Thread List Format"), made of the ids that
 * gdbserver has and the names that /proc has. gdbserver's own list carries libthread_db's handles too, and while the
 * dynamic linker has not yet relocated libc that library fails, for which gdbserver ends.
 */
import { readFileSync } from 'node:fs';
import type { Gdbserver } from '../attach/gdbserver';
import { otherProcesses, threadNames } from '../attach/inspect';
import { childrenOf, threadsOf } from '../attach/threads';
import { parseThreadId } from '../rsp/packets';
import { threadsWindow, windowOf } from '../rsp/transfer';
import type { Inferior } from './inferior';

/** What XML has other uses for; a thread's name is any bytes. */
const MARKUP = /[^A-Za-z0-9_ !#%()*+,./:;=?@[\\\]^`{|}~-]/g;

export const readsThreads = (packet: string): boolean => packet.startsWith('qXfer:threads:read:');

/** One window of the list, which is made anew when it is read from its beginning. @throws gdbserver-refused */
export async function answerThreads(packet: string, inferior: Inferior): Promise<string> {
  const window = threadsWindow(packet);
  if (window === null || !inferior.server) return 'E00';
  if (window.offset === 0 || inferior.threadList === null) await makeThreadList(inferior, inferior.server);
  return windowOf(inferior.threadList ?? '', window);
}

/** @throws gdbserver-refused */
export async function makeThreadList(inferior: Inferior, server: Gdbserver): Promise<string> {
  const all = await threadNames(server, inferior.threads);
  const ids = all.filter((id) => inferior.unseen === null || parseThreadId(id)?.process !== inferior.unseen);
  inferior.threads = ids.length;
  const list = threadList(ids, commandNames(inferior.nodePid, otherProcesses(ids, inferior.pid).length > 0));
  inferior.threadList = list;
  return list;
}

/** `names`: of threads, by the numbers that they have in the job. */
export function threadList(ids: string[], names: Map<number, string>): string {
  const threads = ids.map((id) => {
    const name = names.get(parseThreadId(id)?.thread ?? -1);
    return `<thread id="${id}"${name === undefined ? '' : ` name="${name.replace(MARKUP, '?')}"`}/>\n`;
  });
  return `<?xml version="1.0"?>\n<threads>\n${threads.join('')}</threads>\n`;
}

/** Of a process's threads and, where they are held too, of its children's, which the client may be about to follow. */
function commandNames(pid: number, withChildren: boolean): Map<number, string> {
  const names = new Map<number, string>();
  for (const process of [pid, ...(withChildren ? childrenOf(pid) : [])])
    for (const { tid, inner } of threadsOf(process))
      try {
        names.set(inner, readFileSync(`/proc/${process}/task/${tid}/comm`, 'utf8').replace(/\n$/, ''));
      } catch {
        // It has ended.
      }
  return names;
}
