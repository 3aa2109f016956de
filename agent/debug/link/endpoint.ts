/** Where a line waits for its client: a Unix socket that only its user may open, or a port of this machine alone. */
import { once } from 'node:events';
import { lstat, unlink } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { GodwitError, isNodeError } from '../../api/errors';

/** `port` 0 takes any free one. */
export type Endpoint = { path: string } | { port: number };

const LOOPBACK = '127.0.0.1';
/** sockaddr_un.sun_path without its final zero (unix(7)). */
const MAX_SOCKET_PATH = 107;

export const portTaken = (where: string) =>
  new GodwitError({
    code: 'port-taken',
    message: `can't listen at ${where}: it is taken`,
    fix: 'choose another port or path',
  });

export const cannotListen = (where: string, why: string) =>
  new GodwitError({
    code: 'cannot-listen',
    message: `can't listen at ${where}: ${why}`,
    fix: 'choose another port or path',
  });

/** Listens, and returns the address (a path, or HOST:PORT). @throws port-taken, cannot-listen */
export async function listenForClient(
  endpoint: Endpoint,
  accept: (socket: Socket) => void,
): Promise<{ server: Server; address: string }> {
  const where = 'path' in endpoint ? endpoint.path : `${LOOPBACK}:${endpoint.port}`;
  if (Buffer.byteLength(where) > MAX_SOCKET_PATH)
    throw cannotListen(where, `the path is longer than ${MAX_SOCKET_PATH} bytes`);
  if ('path' in endpoint) await removeStale(endpoint.path);
  const server = createServer(accept);
  try {
    start(server, endpoint);
    await once(server, 'listening');
  } catch (error) {
    if (isNodeError(error) && error.code === 'EADDRINUSE') throw portTaken(where);
    throw cannotListen(where, error instanceof Error ? error.message : String(error));
  }
  return {
    server,
    address: 'path' in endpoint ? where : `${LOOPBACK}:${(server.address() as AddressInfo).port}`,
  };
}

function start(server: Server, endpoint: Endpoint): void {
  if ('port' in endpoint) {
    server.listen(endpoint.port, LOOPBACK);
    return;
  }
  // The socket is bound before `listen` returns, so that it never has another mode than this.
  const mask = process.umask(0o177);
  try {
    server.listen(endpoint.path);
  } finally {
    process.umask(mask);
  }
}

/** Removes a socket without a listener, which a line that was killed has left. */
async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => null);
  if (!found?.isSocket()) return;
  const probe = connect(path);
  const refused = await new Promise<boolean>((resolve) => {
    probe.once('connect', () => resolve(false));
    probe.once('error', (error) => resolve(isNodeError(error) && error.code === 'ECONNREFUSED'));
  });
  probe.destroy();
  if (refused) await unlink(path).catch(() => {});
}
