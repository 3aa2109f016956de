/** What joins the two ends of a wire in a test, and can be cut after any number of bytes. */
import { connect, type Socket } from 'node:net';

export class WireLink {
  readonly #ends: [string, string];
  readonly #sockets = new Set<Socket>();

  constructor(...ends: [string, string]) {
    this.#ends = ends;
  }

  /**
   * Joins the ends anew; what was joined before goes on until the ends themselves let go of it. After `budget` bytes,
   * both directions together, it is cut.
   */
  join(budget = Number.POSITIVE_INFINITY): void {
    const [a, b] = this.#ends.map((path) => connect(path)) as [Socket, Socket];
    let left = budget;
    const cut = () => {
      a.destroy();
      b.destroy();
    };
    const carry = (from: Socket, to: Socket) => {
      this.#sockets.add(from);
      from.on('data', (chunk) => {
        if (!to.write(chunk.subarray(0, left))) {
          from.pause();
          to.once('drain', () => from.resume());
        }
        left -= Math.min(left, chunk.length);
        if (left === 0) cut();
      });
      from.on('error', cut);
      from.on('close', () => {
        this.#sockets.delete(from);
        cut();
      });
    };
    carry(a, b);
    carry(b, a);
  }

  /** Whether anything is joined; a join may be refused while there are too many. */
  get isUp(): boolean {
    return this.#sockets.size > 0;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
