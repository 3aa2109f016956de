/**
 * The two ends of a home's file system, `godwit-homefs`: processes that outlive the agent and the keeper that started
 * them, each with a socket by which it is joined to the other and a file that says which process it is.
 */
import { constants } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { GodwitError } from '../../api/errors';
import { parseJson, parseWith } from '../../api/schema';
import type { KeeperContract } from '../../keeper/contract';
import { connectWire } from '../../machine/homefs/join';
import { HomefsMessage } from '../../machine/homefs/program';
import { isAlive, killPid, startOf } from '../../machine/proc/identity';
import { processesNaming } from '../../machine/proc/processes';
import type { Link } from '../../wire/link';

/** A daemon that is killed ends at once, unless a disk or another mount keeps it. */
const END_MS = 10_000;
const END_POLL_MS = 5;
/** Making a socket and a mount takes no other machine. */
const START_MS = 10_000;

const ANSWER = "a file server's answer";

const Identity = z.object({
  pid: z.int(),
  started: z.string(),
  /** Which of all file systems it is one end of. */
  wire: z.string(),
});
export type DaemonIdentity = z.infer<typeof Identity>;

/** Written before it is started, so that one is found again whose number could not be written down. */
const STARTING = { starting: true } as const;
const Written = z.union([Identity, z.object({ starting: z.literal(true) })]);
type Written = z.infer<typeof Written>;

const didNotStart = (what: string, why: string) =>
  new GodwitError({ code: 'home-files-failed', message: `the home's files can't be ${what}: ${why}` });

const willNotEnd = (name: string) =>
  new GodwitError({
    code: 'will-not-end',
    message: `${name} was killed but has not ended after ${END_MS} ms`,
  });

export class Daemons {
  /** `folder`: for sockets and files; `what`: done to files, for people. */
  constructor(
    private readonly folder: string,
    private readonly keeper: Link<KeeperContract>,
    private readonly what: 'served' | 'mounted',
  ) {}

  /** Names of daemons that were started and not ended, alive or not. */
  async names(): Promise<string[]> {
    const files = await readdir(this.folder).catch(() => []);
    return files.filter((file) => file.endsWith('.json')).map((file) => file.slice(0, -'.json'.length));
  }

  /** The keeper's names for those that run. */
  async keys(): Promise<string[]> {
    const names = await this.names();
    const found = await Promise.all(names.map((name) => this.find(name)));
    return names.filter((_, index) => found[index] !== null).map((name) => this.#key(name));
  }

  /** null when it is not there, or has died. */
  async find(name: string): Promise<DaemonIdentity | null> {
    const record = await this.#read(name);
    return record && 'pid' in record && (await isAlive(record)) ? record : null;
  }

  /**
   * Starts what `command` makes of the socket's name, in the folder of the sockets: a whole path may be too long for
   * one (man 7 unix). @throws GodwitError `home-files-failed`
   */
  async start(name: string, wire: string, command: (socket: string) => string[]): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    await this.#write(name, STARTING);
    const key = this.#key(name);
    const order = { key, argv: command(name), env: {}, cwd: this.folder, wire: false };
    const { pid } = await this.keeper.call('process.start', order);
    const { line } = await this.keeper.call('process.line', { key, index: 0 }, { timeoutMs: START_MS });
    const answer = line === null ? null : parseWith(HomefsMessage, parseJson(ANSWER, line), ANSWER);
    const started = await startOf(pid);
    if (!answer || 'error' in answer || started === null) {
      const { stderr } = await this.keeper.call('process.wait', { key }, { timeoutMs: END_MS });
      await this.end(name);
      throw didNotStart(
        this.what,
        answer && 'error' in answer ? answer.error.message : stderr.trim() || 'it ended',
      );
    }
    await this.#write(name, { pid, started, wire });
  }

  /** Ends it, and forgets it. One that isn't there is no error. @throws GodwitError `will-not-end` */
  async end(name: string): Promise<void> {
    const key = this.#key(name);
    const { processes } = await this.keeper.call('process.list', {});
    const known = processes.find((process) => process.key === key);
    if (known && !known.end) await this.keeper.call('process.signal', { key, signal: 'SIGKILL' });
    const record = await this.#read(name);
    // By its socket, which is in a folder of this node's and named as no other.
    if (record && 'starting' in record) for (const pid of await processesNaming(name)) killPid(pid);
    const deadline = performance.now() + END_MS;
    for (let left = await this.find(name); left; left = await this.find(name)) {
      if (performance.now() > deadline) throw willNotEnd(name);
      killPid(left.pid);
      await sleep(END_POLL_MS);
    }
    if (known) {
      await this.keeper.call('process.wait', { key }, { timeoutMs: END_MS });
      await this.keeper.call('process.forget', { key });
    }
    for (const file of [this.#file(name), this.noted(name), join(this.folder, name)])
      await rm(file, { force: true });
  }

  /** A file of the daemon's own, which goes with it. */
  noted(name: string): string {
    return join(this.folder, `${name}.noted`);
  }

  /** A stream joined to its socket. @throws GodwitError `no-home-files` */
  async connect(name: string): Promise<Duplex> {
    const folder = await open(this.folder, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      return await connectWire(`/proc/self/fd/${folder.fd}/${name}`);
    } finally {
      await folder.close();
    }
  }

  async #read(name: string): Promise<Written | null> {
    const text = await readFile(this.#file(name), 'utf8').catch(() => null);
    return text === null ? null : (Written.safeParse(parseJson(ANSWER, text)).data ?? null);
  }

  async #write(name: string, record: Written): Promise<void> {
    const file = this.#file(name);
    await writeFile(`${file}.new`, JSON.stringify(record));
    await rename(`${file}.new`, file);
  }

  #file(name: string): string {
    return join(this.folder, `${name}.json`);
  }

  #key(name: string): string {
    return `${this.what}:${name}`;
  }
}
