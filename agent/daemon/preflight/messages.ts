/**
 * Messages that wait in a job's Unix sockets. CRIU brings back what they say, not who sent them: where that would be
 * missed, a move is refused, before the freeze by what is seen then, and after it by all that waits.
 */
import { GodwitError } from '../../api/errors';
import type { Obstacle } from '../../api/model';
import { askOf, type Frozen } from '../../machine/criu/frozen';
import type { Looked } from '../../machine/criu/look';
import type { NotedDescriptor } from '../../machine/criu/noted';

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

/** `noted`: what the frozen job holds; one without Unix sockets costs no more. @throws `queued-message` */
export async function refuseMessages(frozen: Frozen, noted: NotedDescriptor[]): Promise<void> {
  const sockets = noted.filter(({ token }) => /^socket: UNIX/.test(token));
  if (sockets.length === 0) return;
  const [first] = await askOf(frozen, 'messages', sockets, DEADLINE_MS);
  if (!first) return;
  throw new GodwitError({ code: CODE, message: whatWaits(`process ${first.inner}`, first.said), fix: FIX });
}
