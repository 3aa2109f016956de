/**
 * Where what comes out of jobs' doors is taken (jobs/doors.ts): root's alone to connect to. The process that carries it says
 * first whose it is; all of one user's counts as that user's, within one account.
 */
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { clientContract } from '../../api/client-contract';
import type { CallerConnection, Handlers } from '../../api/contract';
import { JobId, type User } from '../../api/model';
import type { PerUser } from '../../api/per-user';
import { allowanceOf } from '../../wire/allowance';
import { lateAfter } from '../../wire/deadline';
import { checkSocketPath } from '../../wire/endpoint';
import { serveHanded } from '../../wire/server';
import type { Tickets } from '../../wire/tickets';
import type { Copies } from '../jobs/copies';

/** As long as a job's id. */
const NAME_BYTES = 10;
/** It is sent with the connection. */
const NAME_MS = 5_000;
/** What says that the connection is taken: before that nothing of the program's is sent. */
const TAKEN = '\n';

export interface DoorwayOptions {
  name: string;
  path: string;
  copies: Pick<Copies, 'get'>;
  perUser: PerUser;
  tickets: Tickets;
}

export class Doorway {
  /** Of each connection: the job of which a program asks. */
  readonly #jobs = new WeakMap<object, string>();
  readonly #users = new Map<number, { user: User; service: { take(socket: Socket): void } }>();
  #handlers: Handlers<typeof clientContract> | null = null;

  constructor(private readonly options: DoorwayOptions) {}

  /** The job of which a program asks by this connection; null for one that is none of a door's. */
  jobOf(connection: CallerConnection | undefined): string | null {
    return this.#jobs.get(connection?.transport as object) ?? null;
  }

  async listen(handlers: Handlers<typeof clientContract>): Promise<void> {
    const { path } = this.options;
    checkSocketPath(path);
    this.#handlers = handlers;
    await rm(path, { force: true });
    const server = createServer((socket) => this.#meet(socket));
    // One that can't be accepted is no reason to end the agent.
    server.on('error', () => {});
    const mask = process.umask(0o177);
    const listening = new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    process.umask(mask);
    await listening;
    await chmod(path, 0o600);
  }

  #meet(socket: Socket): void {
    const inTime = lateAfter(NAME_MS, () => socket.destroy());
    socket.on('error', () => {});
    socket.once('close', inTime);
    const read = () => {
      const said: Buffer | null = socket.read(NAME_BYTES);
      if (!said) return;
      inTime();
      socket.off('readable', read);
      this.#take(said.toString('latin1'), socket);
    };
    socket.on('readable', read);
  }

  #take(said: string, socket: Socket): void {
    const copy = JobId.safeParse(said).success ? this.options.copies.get(said) : undefined;
    if (!copy) return void socket.destroy();
    this.#jobs.set(socket, copy.job);
    this.#serviceOf(copy.user).take(socket);
    socket.write(TAKEN);
  }

  /** What its requests run as is settled when it is made: a user whose groups are others now has another. */
  #serviceOf(user: User) {
    const known = this.#users.get(user.uid);
    if (known && JSON.stringify(known.user) === JSON.stringify(user)) return known.service;
    const { name, perUser, tickets } = this.options;
    const service = serveHanded({
      ...{ name, kind: 'agent' as const, contract: clientContract, handlers: this.#handlers!, tickets },
      ...{ allowance: allowanceOf(perUser), maxConnections: perUser.connections },
      ...(user.uid === 0 ? {} : { user }),
    });
    this.#users.set(user.uid, { user, service });
    return service;
  }
}
