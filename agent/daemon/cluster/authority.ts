/** The authority of a cluster, on the node that has its key: who joins, who is removed, who gets a new certificate. */
import { readFile } from 'node:fs/promises';
import type { Params, Result } from '../../api/contract';
import { noSuchNode } from '../../api/errors';
import type { JoinContract } from '../../api/join-contract';
import { type RosterEntry, signEntry } from '../../api/roster';
import { proofOf } from '../../api/token';
import { CERTIFICATE_DAYS, type Authority as Files, signRequest } from '../../machine/certificates/authority';
import { SerialQueue } from '../../machine/serial-queue';
import { type Certified, readCertificate } from '../../wire/tls';
import * as errors from './errors';
import type { Roster } from './roster';
import type { Issued, Tokens } from './tokens';

export interface AuthorityParts {
  files: Files;
  roster: Roster;
  tokens: Tokens;
  /** The members are others now: all of them are to hear of these entries. */
  changed: (entries: RosterEntry[]) => void;
}

export class Authority {
  /** One after the other: each looks at what the one before has written. */
  readonly #turns = new SerialQueue();

  constructor(private readonly parts: AuthorityParts) {}

  /** A try that was cut off, with this agent, leaves nothing. */
  async restart(): Promise<void> {
    for (const { id } of this.parts.tokens.unfinished) await this.undo(id);
  }

  /** @throws GodwitError `too-many-tokens` */
  issue(ttlMs: number): Promise<Issued> {
    return this.#turns.take(() => this.parts.tokens.add(ttlMs));
  }

  /** @param binding of the connection @throws GodwitError `no-such-token`, `token-expired`, `token-used` */
  prove(id: string, binding: Buffer): string {
    return proofOf(this.#good(id).secret, 'authority', binding);
  }

  /**
   * Takes in the joiner, until `done` or `undo`.
   * @throws GodwitError those of `prove`, `wrong-proof`, `token-in-use`, `name-taken`, `place-taken`, `wrong-request`
   */
  enter(
    { token: id, proof, name, address, port, request }: Params<JoinContract, 'join.enter'>,
    binding: Buffer,
  ): Promise<Result<JoinContract, 'join.enter'>> {
    return this.#turns.take(async () => {
      const { roster, tokens, files } = this.parts;
      const token = this.#good(id);
      if (proof !== proofOf(token.secret, 'joiner', binding)) throw errors.wrongProof();
      if (token.used) throw errors.tokenInUse(token.used.name);
      this.#assertFree(name, address, port);
      const certificate = await this.#sign(request, name, null);
      const { key } = readCertificate(Buffer.from(certificate))!;
      // Written down first: whatever happens from here on is undone.
      await tokens.use(id, { name, key, done: false });
      await this.#enlist({ name, address, port, key, isAuthority: false, removed: false });
      const authority = await readFile(files.cert, 'utf8');
      return { certificate, authority, roster: roster.entries };
    });
  }

  /** The joiner is up. */
  done(id: string): Promise<void> {
    return this.#turns.take(async () => {
      const token = this.parts.tokens.find(id);
      if (token?.used) await this.parts.tokens.use(id, { ...token.used, done: true });
    });
  }

  /** The joiner has gone before it was done: its token is good for another try. */
  undo(id: string): Promise<void> {
    return this.#turns.take(async () => {
      const { roster, tokens } = this.parts;
      const { used } = tokens.find(id) ?? {};
      if (!used || used.done) return;
      const entry = roster.entry(used.name);
      if (entry && !entry.removed && entry.key === used.key) await this.#enlist({ ...entry, removed: true });
      await tokens.use(id, null);
    });
  }

  /** @throws GodwitError `no-such-node` */
  remove(name: string): Promise<RosterEntry> {
    return this.#turns.take(() => {
      return this.#enlist({ ...this.#member(name), removed: true });
    });
  }

  /** A member is to be found elsewhere now. @throws GodwitError `no-such-node`, `place-taken` */
  move(name: string, { address, port }: Pick<RosterEntry, 'address' | 'port'>): Promise<void> {
    return this.#turns.take(async () => {
      const entry = this.#member(name);
      if (entry.address === address && entry.port === port) return;
      this.#assertPlaceFree(address, port);
      await this.#enlist({ ...entry, address, port });
    });
  }

  /** A new certificate for the key that a member has. @throws GodwitError `wrong-request` */
  renew(name: string, request: string): Promise<string> {
    return this.#sign(request, name, this.parts.roster.entry(name)?.key ?? null);
  }

  #good(id: string): Issued {
    const token = this.parts.tokens.find(id);
    if (!token) throw errors.noSuchToken();
    if (token.used?.done) throw errors.tokenUsed(token.used.name);
    if (Date.parse(token.expires) <= Date.now()) throw errors.tokenExpired(token.expires);
    return token;
  }

  #member(name: string): RosterEntry {
    const { roster } = this.parts;
    const entry = roster.entry(name);
    if (entry && !entry.removed) return entry;
    throw noSuchNode(
      name,
      roster.members.map((member) => member.name),
    );
  }

  #assertFree(name: string, address: string, port: number): void {
    const { members } = this.parts.roster;
    if (members.some((member) => member.name === name)) throw errors.nameTaken(name);
    this.#assertPlaceFree(address, port);
  }

  #assertPlaceFree(address: string, port: number): void {
    const { members } = this.parts.roster;
    const there = members.find((member) => member.address === address && member.port === port);
    if (there) throw errors.placeTaken(`${address}:${port}`, there.name);
  }

  async #sign(request: string, name: string, key: string | null): Promise<string> {
    const certificate = await signRequest(this.parts.files, request, CERTIFICATE_DAYS);
    const made: Certified | null = readCertificate(Buffer.from(certificate));
    if (made?.name !== name) throw errors.wrongRequest(`it is for ${made?.name ?? 'no node'}, not ${name}`);
    if (key !== null && made.key !== key) throw errors.wrongRequest('it has another key');
    return certificate;
  }

  async #enlist(member: Omit<RosterEntry, 'seq' | 'signature'>): Promise<RosterEntry> {
    const { roster, files, changed } = this.parts;
    const seq = roster.complete + 1;
    const signed = signEntry({ ...member, seq }, await readFile(files.key, 'utf8'));
    await roster.merge([signed], seq);
    changed([signed]);
    return signed;
  }
}
