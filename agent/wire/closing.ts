/** How a WebSocket ends and is asked whether it lives: within bounds, for any behaviour of the other side. */
import type { WebSocket } from 'ws';
import { cutToBytes } from '../api/text';

/** How long a closing handshake may take before the socket is destroyed. */
export const CLOSE_GRACE_MS = 2_000;
/** RFC 6455, 5.5: a control frame carries 125 bytes, two of them the code. */
const MAX_REASON_BYTES = 123;

/** Starts the closing handshake, and ends the socket where the other side does not take part. */
export function closeWith(socket: WebSocket, code: number, reason: string): void {
  if (socket.readyState !== socket.OPEN) return;
  socket.close(code, cutToBytes(reason, MAX_REASON_BYTES));
  const grace = setTimeout(() => socket.terminate(), CLOSE_GRACE_MS);
  socket.once('close', () => clearTimeout(grace));
}

/** Who has left this much unread would not read a pong either. */
const MOST_UNREAD_BYTES = 64 * 1024;

/** In place of the library's own pongs, which would pile up for one who asks and never reads (RFC 6455, 5.5.3). */
export function answerPings(socket: WebSocket): void {
  socket.on('ping', (data) => {
    if (socket.readyState === socket.OPEN && socket.bufferedAmount <= MOST_UNREAD_BYTES) socket.pong(data);
  });
}
