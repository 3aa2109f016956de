/**
 * A way that takes its time: what comes in at one Unix socket goes on to another after so many milliseconds, both ways.
 * For machines whose kernel can't delay packets by itself (tc-netem(8)).
 */
import { connect, createServer, type Socket } from 'node:net';

export interface Delayed {
  path: string;
  close(): void;
}

export async function delayed(to: string, path: string, ms: number): Promise<Delayed> {
  const sockets = new Set<Socket>();
  const carry = (from: Socket, onto: Socket) => {
    sockets.add(from);
    from.on('data', (chunk: Buffer) => setTimeout(() => onto.write(chunk), ms));
    from.on('close', () => setTimeout(() => onto.destroy(), ms));
    from.on('error', () => {});
  };
  const server = createServer((near) => {
    const far = connect(to);
    carry(near, far);
    carry(far, near);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    path,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
