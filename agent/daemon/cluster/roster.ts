/** The members of a cluster that this node has joined, as it has been told of them; kept in a file of its own. */
import { readFile } from 'node:fs/promises';
import type { Member } from '../../api/config';
import { isSigned, type RosterEntry, StoredRoster } from '../../api/roster';
import { parseJson, parseWith } from '../../api/schema';
import { SerialQueue } from '../../machine/serial-queue';
import { writeWhole } from '../../machine/whole-file';

export class Roster {
  #entries: ReadonlyMap<string, RosterEntry>;
  #members: readonly Member[];
  #complete: number;
  readonly #writes = new SerialQueue();

  private constructor(
    private readonly file: string,
    /** The authority's certificate, in PEM. */
    private readonly authority: Buffer,
    { entries, complete }: StoredRoster,
  ) {
    this.#entries = new Map(entries.map((entry) => [entry.name, entry]));
    this.#members = membersAmong(this.#entries);
    this.#complete = complete;
  }

  /** @throws GodwitError `bad-message`; an error of the file system */
  static async open(file: string, authority: Buffer): Promise<Roster> {
    const what = `the roster ${file}`;
    const stored = parseWith(StoredRoster, parseJson(what, await readFile(file, 'utf8')), what);
    return new Roster(file, authority, stored);
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

  entry(name: string): RosterEntry | undefined {
    return this.#entries.get(name);
  }

  since(seq: number): RosterEntry[] {
    return this.entries.filter((entry) => entry.seq > seq);
  }

  /**
   * Takes in what is signed and newer.
   * @param complete who says it has seen all entries up to this one
   * @returns whether anything is other than before
   */
  merge(entries: readonly RosterEntry[], complete = 0): Promise<boolean> {
    return this.#writes.take(async () => {
      const newer = entries.filter(
        (entry) => entry.seq > (this.#entries.get(entry.name)?.seq ?? 0) && isSigned(entry, this.authority),
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

const membersAmong = (entries: ReadonlyMap<string, RosterEntry>): Member[] =>
  [...entries.values()]
    .filter(({ removed }) => !removed)
    .map(({ name, address, port, key }) => ({ name, address, port, key }));
