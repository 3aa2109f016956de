/** The members of a cluster that this node has joined, as it has been told of them; kept in a file of its own. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import type { Member } from '../../api/config';
import { isSigned, type RosterEntry, StoredRoster } from '../../api/roster';
import { parseJson, parseWith } from '../../api/schema';
import { compareNames } from '../../api/text';
import { SerialQueue } from '../../machine/serial-queue';
import { writeWhole } from '../../machine/whole-file';

const CHECKED_AT_ONCE = 32;

export class Roster {
  #entries: ReadonlyMap<string, RosterEntry>;
  #members: readonly Member[];
  #complete: number;
  readonly #writes = new SerialQueue();

  private constructor(
    private readonly file: string,
    /** Of the authority. */
    private readonly key: KeyObject,
    { entries, complete }: StoredRoster,
  ) {
    this.#entries = new Map(entries.map((entry) => [entry.name, entry]));
    this.#members = membersAmong(this.#entries);
    this.#complete = complete;
  }

  /** @param authority its certificate, in PEM @throws GodwitError `bad-message`; an error of the file system */
  static async open(file: string, authority: Buffer): Promise<Roster> {
    const what = `the roster ${file}`;
    const stored = parseWith(StoredRoster, parseJson(what, await readFile(file, 'utf8')), what);
    return new Roster(file, createPublicKey(authority), stored);
  }

  get members(): readonly Member[] {
    return this.#members;
  }

  get entries(): RosterEntry[] {
    return [...this.#entries.values()];
  }

  /** The node whose agent has the authority's key; null where it has left. */
  get authorityNode(): string | null {
    return this.entries.find(({ isAuthority, removed }) => isAuthority && !removed)?.name ?? null;
  }

  /** All entries up to this one have been seen, though newer ones may have been seen besides. */
  get complete(): number {
    return this.#complete;
  }

  /** The latest that has been seen, whether or not all before it were. */
  get latest(): number {
    return this.entries.reduce((latest, { seq }) => Math.max(latest, seq), 0);
  }

  entry(name: string): RosterEntry | undefined {
    return this.#entries.get(name);
  }

  since(seq: number): RosterEntry[] {
    return this.entries.filter((entry) => entry.seq > seq);
  }

  /** Those that are signed. A signature takes a tenth of a millisecond: thousands at once would freeze the agent. */
  async #good(entries: readonly RosterEntry[]): Promise<RosterEntry[]> {
    const good: RosterEntry[] = [];
    for (const [index, entry] of entries.entries()) {
      if (isSigned(entry, this.key)) good.push(entry);
      if (index % CHECKED_AT_ONCE === CHECKED_AT_ONCE - 1) await setImmediate();
    }
    return good;
  }

  /**
   * Takes in what is signed and newer.
   * @param complete who says it has seen all entries up to this one
   * @returns whether anything is other than before
   */
  merge(entries: readonly RosterEntry[], complete = 0): Promise<boolean> {
    return this.#writes.take(async () => {
      const newer = await this.#good(
        entries.filter(({ name, seq }) => seq > (this.#entries.get(name)?.seq ?? 0)),
      );
      const merged = new Map([...this.#entries, ...newer.map((entry) => [entry.name, entry] as const)]);
      // More than there is a signature for can't have been seen.
      const highest = Math.max(0, ...[...merged.values()].map(({ seq }) => seq));
      const seen = Math.max(this.#complete, Math.min(complete, highest));
      if (newer.length === 0 && seen === this.#complete) return false;
      const stored: StoredRoster = { entries: [...merged.values()], complete: seen };
      await writeWhole(this.file, JSON.stringify(stored), 0o600);
      this.#entries = merged;
      this.#members = membersAmong(merged);
      this.#complete = seen;
      return newer.length > 0;
    });
  }
}

/** Every node has them in the same order. */
const membersAmong = (entries: ReadonlyMap<string, RosterEntry>): Member[] =>
  [...entries.values()]
    .filter(({ removed }) => !removed)
    .sort((one, other) => compareNames(one.name, other.name))
    .map(({ name, address, port, key }) => ({ name, address, port, key }));
