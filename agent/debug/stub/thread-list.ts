/**
 * The list of threads that a client reads (`qXfer:threads:read`, GDB manual, "Thread List Format"), made of the ids that
 * gdbserver has and the names that /proc has. gdbserver's own list carries libthread_db's handles too, and while the
 * dynamic linker has not yet relocated libc that library fails, for which gdbserver ends.
 */
import { readFileSync } from 'node:fs';
import { threadNames } from '../attach/inspect';
import { childrenOf, threadsOf } from '../attach/threads';
import { escapeBinary } from '../rsp/codec';
import { parseThreadId } from '../rsp/packets';
import type { Inferior } from './inferior';

const REQUEST = /^qXfer:threads:read::([0-9a-f]+),([0-9a-f]+)$/i;
/** What XML has other uses for; a thread's name is any bytes. */
const MARKUP = /[^A-Za-z0-9_ !#%()*+,./:;=?@[\\\]^`{|}~-]/g;

export const readsThreads = (packet: string): boolean => packet.startsWith('qXfer:threads:read:');

/** One window of the list, which is made anew when it is read from its beginning. @throws gdbserver-refused */
export async function answerThreads(packet: string, inferior: Inferior): Promise<string> {
  const [offset, length] = (REQUEST.exec(packet) ?? []).slice(1).map((hex) => Number.parseInt(hex, 16));
  if (offset === undefined || length === undefined || !inferior.server) return 'E00';
  if (offset === 0 || inferior.threadList === null)
    inferior.threadList = threadList(await threadNames(inferior.server), commandNames(inferior.nodePid));
  const list = Buffer.from(inferior.threadList);
  const window = list.subarray(offset, offset + length);
  return `${offset + length < list.length ? 'm' : 'l'}${escapeBinary(window)}`;
}

/** `names`: of threads, by the numbers that they have in the job. */
export function threadList(ids: string[], names: Map<number, string>): string {
  const threads = ids.map((id) => {
    const name = names.get(parseThreadId(id)?.thread ?? -1);
    return `<thread id="${id}"${name === undefined ? '' : ` name="${name.replace(MARKUP, '?')}"`}/>\n`;
  });
  return `<?xml version="1.0"?>\n<threads>\n${threads.join('')}</threads>\n`;
}

/** Of a process's threads and of its children's, which the client may be about to follow. */
function commandNames(pid: number): Map<number, string> {
  const names = new Map<number, string>();
  for (const process of [pid, ...childrenOf(pid)])
    for (const { tid, inner } of threadsOf(process))
      try {
        names.set(inner, readFileSync(`/proc/${process}/task/${tid}/comm`, 'utf8').replace(/\n$/, ''));
      } catch {
        // It has ended.
      }
  return names;
}
