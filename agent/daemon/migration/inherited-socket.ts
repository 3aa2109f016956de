/** A socket between this agent and a process that the keeper holds: its descriptor 3 (helper/inherit-socket.c). */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { GodwitError } from '../../api/errors';
import { checkSocketPath } from '../../wire/endpoint';

/** A helper connects before it does anything else. */
const CONNECT_MS = 10_000;
const SOCKET = 'sock';

export class InheritedSocket {
  readonly #server: Server;
  readonly #connected: Promise<Socket>;

  private constructor(
    server: Server,
    private readonly path: string,
  ) {
    this.#server = server;
    this.#connected = once(server, 'connection', { signal: AbortSignal.timeout(CONNECT_MS) }).then(
      ([socket]) => {
        // One only; its file goes too.
        server.close();
        return socket as Socket;
      },
    );
    this.#connected.catch(() => server.close());
  }

  /** Listens in a folder that only root may enter. */
  static async in(folder: string): Promise<InheritedSocket> {
    // What has been sent is still taken when the other side has no more to say.
    const server = createServer({ allowHalfOpen: true });
    const path = join(folder, SOCKET);
    checkSocketPath(path);
    server.listen(path);
    await once(server, 'listening');
    return new InheritedSocket(server, path);
  }

  /** The command that runs `argv` with that descriptor. */
  command(helper: string, argv: readonly string[]): string[] {
    return [helper, 'inherit-socket', this.path, '--', ...argv];
  }

  /** @throws GodwitError `not-connected` when no connection came */
  async connection(): Promise<Socket> {
    return this.#connected.catch((error: Error) => {
      throw new GodwitError({
        code: 'not-connected',
        message: `CRIU did not take its connection: ${error.message}`,
      });
    });
  }

  close(): void {
    this.#server.close();
  }
}
