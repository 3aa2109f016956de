/**
 * Messages that wait in a job's Unix sockets. CRIU brings back what they say, not who sent them: where that would be
 * missed, a move is refused, before the freeze by what is seen then, and after it by all that waits.
 */
import { GodwitError } from '../../api/errors';
import type { Obstacle } from '../../api/model';
import { askOf, type Frozen } from '../../machine/criu/frozen';
import type { Looked } from '../../machine/criu/look';
import type { NotedDescriptor } from '../../machine/criu/noted';
import type { NameOf } from './naming';
import { obstacle } from './obstacles';

const DEADLINE_MS = 10_000;
/** By what the helper says (messages.c). */
const LOST: Readonly<Record<string, string>> = {
  credentials: 'a message that tells who sent it (SO_PASSCRED)',
  sender: 'a datagram whose sender could not be answered any more',
  empty: 'an empty datagram, which would be lost with those behind it',
};

const queuedMessage = (process: string, lost: string) =>
  obstacle('queued-message', { process, message: LOST[lost] ?? lost });

export const messageObstacles = ({ waiting }: Looked, nameOf: NameOf): Obstacle[] =>
  waiting.map(({ pid, lost }) => queuedMessage(nameOf(pid), lost));

/** `noted`: what the frozen job holds; one without Unix sockets costs no more. @throws `queued-message` */
export async function refuseMessages(frozen: Frozen, noted: NotedDescriptor[]): Promise<void> {
  const sockets = noted.filter(({ token }) => /^socket: UNIX/.test(token));
  if (sockets.length === 0) return;
  const [first] = await askOf(frozen, 'messages', sockets, DEADLINE_MS);
  if (!first) return;
  const { code, what, fix } = queuedMessage(`process ${first.inner}`, first.said);
  throw new GodwitError({ code, message: what, fix });
}
