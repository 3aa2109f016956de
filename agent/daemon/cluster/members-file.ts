/**
 * The members of a cluster as another program keeps them (configuration management, a batch system): a file with a list
 * like `members` of the configuration, read again when it changes.
 */
import { readFile, stat } from 'node:fs/promises';
import { type Member, Members } from '../../api/config';
import { parseJson, parseWith } from '../../api/schema';
import type { Log } from '../../log';

/** It may be on a file system that tells of no changes. */
const LOOK_EVERY_MS = 2_000;

export class MembersFile {
  #timer: NodeJS.Timeout | undefined;
  #lastTold = '';

  private constructor(
    private readonly path: string,
    private now: Read,
    private readonly log: Log,
  ) {}

  /** @throws GodwitError `bad-message`; an error of the file system */
  static async open(path: string, log: Log): Promise<MembersFile> {
    return new MembersFile(path, await read(path), log);
  }

  get members(): readonly Member[] {
    return this.now.members;
  }

  /** Calls `changed` after each change that can be used; another leaves the list as it was. */
  watch(changed: () => void): void {
    this.#timer = setInterval(() => void this.#look(changed), LOOK_EVERY_MS);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #look(changed: () => void): Promise<void> {
    try {
      const version = await versionOf(this.path);
      if (version === this.now.version) return;
      // Also of one that can't be used: it is read once.
      this.now = { ...this.now, version };
      this.now = await read(this.path);
      this.log(`${this.path}: ${this.members.length} members`);
      this.#lastTold = '';
      changed();
    } catch (error) {
      this.#tell(`the members stay as they were: ${(error as Error).message}`);
    }
  }

  /** A file that stays away is said once. */
  #tell(line: string): void {
    if (line !== this.#lastTold) this.log.warn(line);
    this.#lastTold = line;
  }
}

interface Read {
  members: readonly Member[];
  version: string;
}

/** Another one after each change (stat(2)). */
async function versionOf(path: string): Promise<string> {
  const { ino, size, mtimeNs } = await stat(path, { bigint: true });
  return `${ino} ${size} ${mtimeNs}`;
}

/** A change between the two is seen at the next look. */
async function read(path: string): Promise<Read> {
  const what = `the list of members ${path}`;
  const version = await versionOf(path);
  return { version, members: parseWith(Members, parseJson(what, await readFile(path, 'utf8')), what) };
}
