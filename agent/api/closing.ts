/** How a WebSocket is closed: with a reason, and within a bounded time. */
import type { WebSocket } from 'ws';

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

function cutToBytes(text: string, limit: number): string {
  let cut = text;
  while (Buffer.byteLength(cut) > limit) cut = cut.slice(0, -1);
  return cut;
}
