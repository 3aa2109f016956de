/** The tokens that this node's authority has given out, in a file of its own. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { list } from '../../api/bounded';
import { NodeName } from '../../api/model';
import { PinnedKey } from '../../api/pinned-key';
import { parseJson, parseWith } from '../../api/schema';
import { newSecret, TokenId, TokenSecret } from '../../api/token';
import { writeWhole } from '../../machine/whole-file';
import { tooManyTokens } from './errors';

/** A person pastes one for each machine. */
const MOST_TOKENS = 1_000;

const Issued = z.strictObject({
  id: TokenId,
  secret: TokenSecret,
  expires: z.iso.datetime(),
  /** Who has entered with it; for good only once `done`. */
  used: z.strictObject({ name: NodeName, key: PinnedKey, done: z.boolean() }).nullable(),
});
export type Issued = z.infer<typeof Issued>;
const Stored = list(Issued, { most: MOST_TOKENS });

export class Tokens {
  private constructor(
    private readonly file: string,
    private issued: readonly Issued[],
  ) {}

  /** @throws GodwitError `bad-message` */
  static async open(file: string): Promise<Tokens> {
    const text = await readFile(file, 'utf8').catch(() => '[]');
    return new Tokens(file, parseWith(Stored, parseJson(file, text), file));
  }

  /** Those that a machine may still join with. */
  get good(): Issued[] {
    return this.issued.filter(({ expires, used }) => !used?.done && !isOver(expires));
  }

  /** Those with which a machine has entered, and has not said that it is done. */
  get unfinished(): Issued[] {
    return this.issued.filter(({ used }) => used && !used.done);
  }

  /** Used and expired ones too, for as long as they are remembered. */
  find(id: string): Issued | undefined {
    return this.issued.find((token) => token.id === id);
  }

  /** @throws GodwitError `too-many-tokens` */
  async add(ttlMs: number): Promise<Issued> {
    // What has expired is told apart from what never was only for a while.
    const kept = this.issued.filter(({ expires }) => !isOver(expires, REMEMBERED_MS));
    if (kept.length >= MOST_TOKENS) throw tooManyTokens(MOST_TOKENS);
    const added = { ...newSecret(), expires: new Date(Date.now() + ttlMs).toISOString(), used: null };
    await this.#write([...kept, added]);
    return added;
  }

  use(id: string, used: Issued['used']): Promise<void> {
    return this.#write(this.issued.map((token) => (token.id === id ? { ...token, used } : token)));
  }

  async #write(issued: readonly Issued[]): Promise<void> {
    await writeWhole(this.file, JSON.stringify(issued), 0o600);
    this.issued = issued;
  }
}

const REMEMBERED_MS = 24 * 3600 * 1000;

const isOver = (expires: string, agoMs = 0) => Date.parse(expires) + agoMs <= Date.now();
