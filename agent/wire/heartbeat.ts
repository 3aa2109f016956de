/** Pings by which a side notices that the other is gone, although no connection has ended. */
import type { WebSocket } from 'ws';

export interface Heartbeat {
  /** Milliseconds between pings. */
  everyMs: number;
  /** Pings in a row without any sign of life after which the other side counts as gone. */
  misses: number;
}

/** A peer that has sent nothing for 15 s is gone. */
export const PEER_HEARTBEAT: Heartbeat = { everyMs: 5_000, misses: 3 };

/** Pings until the socket is closed. `onSilent`: nothing has come for so many milliseconds. */
export function keepAlive(
  socket: WebSocket,
  { everyMs, misses }: Heartbeat,
  onSilent: (ms: number) => void,
): void {
  let missed = 0;
  const alive = () => {
    missed = 0;
  };
  for (const sign of ['message', 'ping', 'pong'] as const) socket.on(sign, alive);
  // Misses are counted, not time: after a pause of this very process the answers that wait are read first.
  const timer = setInterval(() => {
    if (missed++ >= misses) onSilent(misses * everyMs);
    else if (socket.readyState === socket.OPEN) socket.ping();
  }, everyMs);
  socket.once('close', () => clearInterval(timer));
}
