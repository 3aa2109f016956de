/** Where users other than root ask: a socket each, whose file is theirs alone. */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { User } from '../../api/model';
import type { Log } from '../../log';
import { SerialQueue } from '../../machine/serial-queue';
import type { Server } from '../../wire/server';

export interface UserSocketsOptions {
  folder: string;
  users: () => Promise<User[]>;
  /** Serves one user at `path`. */
  open: (path: string, user: User) => Promise<Pick<Server, 'close'>>;
  log: Log;
}

export class UserSockets {
  readonly #open = new Map<string, { server: Pick<Server, 'close'>; user: User }>();
  readonly #updates = new SerialQueue();

  constructor(private readonly options: UserSocketsOptions) {}

  /** Opens and closes what has changed among the users since; one call after the other. */
  update(): Promise<void> {
    return this.#updates
      .take(() => this.#update())
      .catch((error: Error) => this.options.log(`the users' sockets could not be updated: ${error.message}`));
  }

  async #update(): Promise<void> {
    const { folder, open, log } = this.options;
    const users = new Map((await this.options.users()).map((user) => [`${user.uid}`, user]));
    await mkdir(folder, { recursive: true, mode: 0o755 });
    for (const [file, { server, user }] of this.#open) {
      // One whose groups have changed is served anew: what a socket's requests run as is settled when it is opened.
      if (JSON.stringify(users.get(file)) === JSON.stringify(user)) continue;
      this.#open.delete(file);
      await server.close();
    }
    for (const file of await readdir(folder)) if (!this.#open.has(file)) await rm(join(folder, file));
    for (const [file, user] of users) {
      if (this.#open.has(file)) continue;
      this.#open.set(file, { server: await open(join(folder, file), user), user });
      log(`serves user ${user.name} (${user.uid})`);
    }
  }
}
