/**
 * Messages that wait in a job's Unix sockets. CRIU brings back what they say, not who sent them: where that would be
 * missed, a move is refused, before the freeze by what is seen then, and after it by all that waits.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { GodwitError } from '../api/errors';
import type { Obstacle } from '../api/model';
import type { Looked } from './look';
import { notedDescriptors } from './noted';
import type { Frozen } from './queues';

const CODE = 'queued-message';
const DEADLINE_MS = 10_000;
const FIX = 'try again when the program has read it';
/** By what the helper says (messages.c). */
const LOST: Readonly<Record<string, string>> = {
  credentials: 'a message that tells who sent it (SO_PASSCRED)',
  sender: 'a datagram whose sender could not be answered any more',
  empty: 'an empty datagram, which would be lost with those behind it',
};

const whatWaits = (who: string, lost: string) => `${who} has not read ${LOST[lost] ?? lost}`;

export const messageObstacles = ({ waiting }: Looked, who: (pid: number) => string): Obstacle[] =>
  waiting.map(({ pid, lost }) => ({ code: CODE, what: whatWaits(who(pid), lost), fix: FIX }));

/** It has been noted what the frozen job holds; one without Unix sockets costs no more. @throws `queued-message` */
export async function refuseMessages(frozen: Frozen): Promise<void> {
  const sockets = (await notedDescriptors(frozen.images)).filter(({ token }) => /^socket: UNIX/.test(token));
  if (sockets.length === 0) return;
  const processes = await frozen.processes();
  const pids = new Map(processes.map(({ inner, pid }) => [inner, pid]));
  const which = sockets.map(({ inner, fd }) => `${pids.get(inner)}:${fd}`);
  const limits = { timeout: DEADLINE_MS, killSignal: 'SIGKILL' } as const;
  const orders = ['messages', '--cgroup', frozen.run, '--', ...which];
  const { stdout } = await promisify(execFile)(frozen.helper, orders, limits);
  const [pid, , lost] = stdout.split('\n')[0]!.split('\t');
  if (lost === undefined) return;
  const inner = processes.find((process) => process.pid === Number(pid))?.inner;
  throw new GodwitError({ code: CODE, message: whatWaits(`process ${inner}`, lost), fix: FIX });
}
