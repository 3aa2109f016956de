/** Joining a cluster: a real authority behind its door on loopback, and machines that come to it. */
import { createPublicKey } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { clusterFiles } from '../../agent/api/cluster-files';
import { joinContract } from '../../agent/api/join-contract';
import { isSigned, type RosterEntry, signEntry } from '../../agent/api/roster';
import { proofOf, readToken, type Token, writeToken } from '../../agent/api/token';
import { Authority } from '../../agent/daemon/cluster/authority';
import { JoinDoor } from '../../agent/daemon/cluster/join-door';
import { Roster } from '../../agent/daemon/cluster/roster';
import { Tokens } from '../../agent/daemon/cluster/tokens';
import { enter } from '../../agent/joining/enter';
import { logTo } from '../../agent/log';
import {
  type Authority as Files,
  issueCertificate,
  makeAuthority,
  requestCertificate,
} from '../../agent/machine/certificates/authority';
import { connectStrange } from '../../agent/wire/client';
import { serveStrangers } from '../../agent/wire/server';
import { keyOfCertificate, loadTls } from '../../agent/wire/tls';
import { freePort } from '../support/free-port';
import { outcome } from '../support/outcome';

const folder = mkdtempSync(join(tmpdir(), 'godwit-joining-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const HOUR = 3_600_000;
let count = 0;

/** A cluster of one node, without its agent: its authority and the door to it. */
class Cluster {
  readonly lines: string[] = [];
  readonly told: RosterEntry[][] = [];
  authority!: Authority;
  door!: JoinDoor;
  tokens!: Tokens;
  roster!: Roster;

  private constructor(
    readonly state: string,
    readonly files: Files,
    readonly port: number,
  ) {}

  static async make(): Promise<Cluster> {
    const state = join(folder, `cluster${count++}`);
    const files = clusterFiles(state);
    const authority = await makeAuthority(files.authority, 'node1');
    const own = await issueCertificate(authority, files.tls, 'node1');
    const cluster = new Cluster(state, authority, await freePort());
    const first = {
      ...{ seq: 1, name: 'node1', address: '127.0.0.1', port: cluster.port - 1 },
      ...{ key: keyOfCertificate(readFileSync(own.cert)), isAuthority: true, removed: false },
    };
    mkdirSync(join(state, 'cluster'));
    const entries = [signEntry(first, readFileSync(authority.key, 'utf8'))];
    writeFileSync(files.roster, JSON.stringify({ entries, complete: 1 }));
    await cluster.start();
    return cluster;
  }

  /** As its agent does when it starts, also again. */
  async start(): Promise<void> {
    const { state, files, port, lines } = this;
    const tls = await loadTls({ ...clusterFilesOf(state), ca: files.cert });
    this.roster = await Roster.open(clusterFiles(state).roster, tls.ca);
    this.tokens = await Tokens.open(clusterFiles(state).tokens);
    const parts = { files, roster: this.roster, tokens: this.tokens };
    this.authority = new Authority({ ...parts, changed: (entries) => this.told.push(entries) });
    await this.authority.restart();
    const log = logTo((line) => lines.push(JSON.parse(line).msg));
    this.door = new JoinDoor({
      ...parts,
      authority: this.authority,
      name: 'node1',
      host: '127.0.0.1',
      port,
      tls,
      log,
      announce: () => () => {},
    });
    await this.door.review();
  }

  /** As an agent's end does. */
  stop = () => this.door.close();

  async token(ttlMs = HOUR): Promise<Token & { authority: string }> {
    const { id, secret } = await this.authority.issue(ttlMs);
    await this.door.review();
    const authority = keyOfCertificate(readFileSync(this.files.cert));
    return { places: [{ host: '127.0.0.1', port: this.port }], authority, id, secret };
  }

  get names(): string[] {
    return this.roster.members.map(({ name }) => name);
  }
}

const clusterFilesOf = (state: string) => ({
  cert: join(clusterFiles(state).tls, 'node.pem'),
  key: join(clusterFiles(state).tls, 'node.key'),
});

const machine = async (name: string, more: object = {}) => ({
  ...{ name, address: '127.0.0.1', port: 1 + count },
  request: await requestCertificate(join(folder, `machine${count++}`), name),
  ...more,
});

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.make();
});
afterAll(() => cluster.stop());

describe('a token', () => {
  const token = {
    places: [{ host: 'fd00::1', port: 7421 }],
    ...{ authority: `sha256:${'ab'.repeat(32)}`, id: '0123abcd', secret: '0'.repeat(32) },
  };

  it('is one line, which says all of it', () => {
    const text = writeToken(token);
    expect(text).toMatch(/^godwit1\.[\w.-]+$/);
    expect(readToken(` ${text}\n`)).toEqual(token);
    expect(readToken(text.split('.').at(-1)!)).toEqual({ ...token, places: [], authority: null });
  });

  it.each(['', 'x', 'godwit1', 'godwit1.x.y.z', `godwit2.${writeToken(token).slice(8)}`, 'a'.repeat(10_000)])(
    'is not %j',
    (text) => expect(() => readToken(text)).toThrow(/no token, or not all of one/),
  );

  it('is none any more with a part of it cut off', () => {
    const text = writeToken(token);
    for (let length = 1; length < text.length; length++)
      expect(() => readToken(text.slice(0, length))).toThrow(/no token/);
  });
});

describe('a machine with a token', () => {
  afterEach(async () => {
    for (const name of cluster.names) if (name !== 'node1') await cluster.authority.remove(name);
  });

  it('gets a certificate of its name and key, and is a member for all', async () => {
    const token = await cluster.token();
    const entry = await enter(token, await machine('node2'));
    expect(cluster.names).toEqual(['node1', 'node2']);
    await entry.done();
    expect(entry.roster.map(({ name }) => name)).toEqual(['node1', 'node2']);
    expect(entry.roster.every((one) => isSigned(one, createPublicKey(entry.authority)))).toBe(true);
    expect(cluster.roster.entry('node2')!.key).toBe(keyOfCertificate(entry.certificate));
    expect(cluster.told.at(-1)).toEqual([cluster.roster.entry('node2')]);
    expect(await outcome(enter(token, await machine('node3')))).toBe('cluster-unreachable');
  });

  it('is the only one that joins with it', async () => {
    const token = await cluster.token();
    await cluster.token();
    const entry = await enter(token, await machine('node2'));
    expect(await outcome(enter(token, await machine('node3')))).toBe('token-in-use');
    await entry.done();
    expect(await outcome(enter(token, await machine('node3')))).toBe('token-used');
    expect(cluster.names).toEqual(['node1', 'node2']);
  });

  it('that goes away before it is up has not joined, and may try again', async () => {
    const token = await cluster.token();
    const entry = await enter(token, await machine('node2'));
    entry.close();
    await vi.waitFor(() => expect(cluster.names).toEqual(['node1']), WAIT);
    const again = await enter(token, await machine('node2'));
    await again.done();
    expect(cluster.names).toEqual(['node1', 'node2']);
  });

  it('has not joined either when the authority’s agent ends meanwhile', async () => {
    const token = await cluster.token();
    const entry = await enter(token, await machine('node2'));
    await cluster.stop();
    await cluster.start();
    expect(cluster.names).toEqual(['node1']);
    expect(await outcome(entry.done())).toBe('connection-lost');
    const again = await enter(token, await machine('node2'));
    await again.done();
  });

  it('is refused a name or a place that is taken', async () => {
    const token = await cluster.token();
    expect(await outcome(enter(token, await machine('node1')))).toBe('name-taken');
    const { port } = cluster.roster.entry('node1')!;
    expect(await outcome(enter(token, await machine('node2', { port })))).toBe('place-taken');
    const { request } = await machine('node4');
    expect(await outcome(enter(token, await machine('node2', { request })))).toBe('wrong-request');
    expect(await outcome(enter(token, await machine('node2', { request: 'x' })))).toBe('command-failed');
    expect(cluster.names).toEqual(['node1']);
  });

  it('that has expired, is unknown or of another cluster is refused by name', async () => {
    const good = await cluster.token();
    const short = await cluster.token(1);
    await vi.waitFor(() => expect(cluster.tokens.good.map(({ id }) => id)).not.toContain(short.id), WAIT);
    expect(await outcome(enter(short, await machine('node2')))).toBe('token-expired');
    expect(await outcome(enter({ ...good, id: '00000000' }, await machine('node2')))).toBe('no-such-token');
    const secret = 'f'.repeat(32);
    expect(await outcome(enter({ ...good, secret }, await machine('node2')))).toBe('other-cluster');
    const authority = `sha256:${'0'.repeat(64)}`;
    expect(await outcome(enter({ ...good, authority }, await machine('node2')))).toBe('other-cluster');
    // Not by its own side alone.
    const trust = () => null;
    const stranger = await connectStrange(
      { address: '127.0.0.1', port: cluster.port, trust },
      { name: 'x', kind: 'agent', contract: joinContract },
    );
    const proof = '0'.repeat(64);
    const params = { token: good.id, proof, ...(await machine('node2')) };
    expect(await outcome(stranger.call('join.enter', params))).toBe('wrong-proof');
    expect(await outcome(stranger.call('join.done', {}))).toBe('wrong-proof');
    stranger.close();
    expect(cluster.names).toEqual(['node1']);
  });
});

const WAIT = { timeout: 60_000, interval: 10 };

describe('the door', () => {
  it('is closed while there is no token to join with', async () => {
    const other = await Cluster.make();
    const asked = { places: [{ host: '127.0.0.1', port: other.port }], authority: null };
    const none = { ...asked, id: '00000000', secret: '0'.repeat(32) };
    expect(await outcome(enter(none, await machine('node2')))).toBe('cluster-unreachable');
    const token = await other.token(5_000);
    expect(await outcome(enter(none, await machine('node2')))).toBe('no-such-token');
    await vi.waitFor(
      async () => expect(await outcome(enter(none, await machine('node2')))).toBe('cluster-unreachable'),
      WAIT,
    );
    expect(other.tokens.find(token.id)).toBeDefined();
    await other.stop();
  });

  it('is not kept shut by strangers who stay', async () => {
    const token = await cluster.token();
    const at = { address: '127.0.0.1', port: cluster.port, trust: () => null };
    const stranger = () => connectStrange(at, { name: 'node9', kind: 'agent', contract: joinContract });
    const entering = await enter(token, await machine('node2'));
    const strangers: Awaited<ReturnType<typeof stranger>>[] = [];
    // One more than the door takes at once, with the machine that has entered.
    for (let count = 0; count < 64; count++) strangers.push(await stranger());
    await strangers[0]!.closed;
    const other = await enter(await cluster.token(), await machine('node3'));
    await other.done();
    // Who has entered stays, however long it takes.
    await entering.done();
    expect(cluster.names).toEqual(['node1', 'node2', 'node3']);
    for (const one of strangers) one.close();
    for (const name of ['node2', 'node3']) await cluster.authority.remove(name);
  });

  it('is not passed through a server in the middle, without a fingerprint either', async () => {
    const token = await cluster.token();
    const files = await makeAuthority(join(folder, 'middle'), 'x');
    const tls = await loadTls(await issueCertificate(files, join(folder, 'middle', 'tls'), 'node1'));
    // It passes on each word, from one connection to another.
    const trust = () => null;
    const there = await connectStrange(
      { address: '127.0.0.1', port: cluster.port, trust },
      { name: 'node2', kind: 'agent', contract: joinContract },
    );
    const heard: string[] = [];
    const port = await freePort();
    const middle = await serveStrangers({
      ...{ name: 'node1', kind: 'agent', contract: joinContract, host: '127.0.0.1', port },
      tls: { key: tls.key, cert: Buffer.concat([tls.cert, tls.ca]) },
      handlers: {
        'join.prove': (params) => there.call('join.prove', params),
        'join.enter': (params) => {
          heard.push(params.proof);
          return there.call('join.enter', params);
        },
        'join.done': (params) => there.call('join.done', params),
      },
    });
    const places = [{ host: '127.0.0.1', port }];
    expect(await outcome(enter({ ...token, places }, await machine('node2')))).toBe('other-cluster');
    expect(await outcome(enter({ ...token, places, authority: null }, await machine('node2')))).toBe(
      'other-cluster',
    );
    expect(heard).toEqual([]);
    // Had the joiner not looked, what it would have proved were of no use there.
    const fooled = { token: token.id, proof: proofOf(token.secret, 'joiner', Buffer.alloc(32)) };
    expect(await outcome(there.call('join.enter', { ...fooled, ...(await machine('node2')) }))).toBe(
      'wrong-proof',
    );
    there.close();
    await middle.close();
    expect(cluster.names).toEqual(['node1']);
  });

  it('is not entered by a server without the authority’s certificate', async () => {
    const token = await cluster.token();
    const files = await makeAuthority(join(folder, 'bare'), 'x');
    const tls = await loadTls(await issueCertificate(files, join(folder, 'bare', 'tls'), 'node1'));
    const sockets: TLSSocket[] = [];
    const server = createServer({ key: tls.key, cert: tls.cert }, (socket) => sockets.push(socket));
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const places = [{ host: '127.0.0.1', port }];
    expect(await outcome(enter({ ...token, places }, await machine('node2')))).toBe('other-cluster');
    for (const socket of sockets) socket.destroy();
    server.close();
  });
});

describe('the roster', () => {
  const entry = (seq: number, name: string, more: object = {}) => ({
    ...{ seq, name, address: 'a', port: 1, key: `sha256:${'0'.repeat(64)}` },
    ...{ isAuthority: false, removed: false, ...more },
  });
  const signed = (...given: Parameters<typeof entry>) =>
    signEntry(entry(...given), readFileSync(cluster.files.key, 'utf8'));

  it('takes in what is signed and newer, and keeps it', async () => {
    const other = await Cluster.make();
    const sign = (...given: Parameters<typeof entry>) =>
      signEntry(entry(...given), readFileSync(other.files.key, 'utf8'));
    const { roster } = other;
    expect(await roster.merge([sign(2, 'node2'), sign(3, 'node3')], 3)).toBe(true);
    expect(await roster.merge([sign(4, 'node2', { removed: true })])).toBe(true);
    // Older words, in any order and as often as one likes, bring nothing back.
    expect(await roster.merge([sign(2, 'node2'), sign(3, 'node3')])).toBe(false);
    expect(other.names).toEqual(['node1', 'node3']);
    expect(roster.complete).toBe(3);
    expect(roster.since(3).map(({ name }) => name)).toEqual(['node2']);
    await other.stop();
    await other.start();
    expect(other.names).toEqual(['node1', 'node3']);
    expect(other.roster.complete).toBe(3);
    await other.stop();
  });

  it('takes nothing that the authority has not signed, as it stands', async () => {
    const { roster } = cluster;
    const before = roster.entries;
    const good = signed(100, 'node9');
    for (const forged of [
      { ...good, name: 'node8' },
      { ...good, seq: 101 },
      { ...good, address: 'b' },
      { ...good, key: `sha256:${'1'.repeat(64)}` },
      { ...good, isAuthority: true },
      { ...good, signature: '' },
      { ...good, signature: 'AAAA' },
    ])
      expect(await roster.merge([forged])).toBe(false);
    expect(roster.entries).toEqual(before);
  });

  it('does not believe that all has been seen up to where nothing is signed', async () => {
    const { roster } = cluster;
    const highest = Math.max(...roster.entries.map(({ seq }) => seq));
    await roster.merge([], Number.MAX_SAFE_INTEGER);
    expect(roster.complete).toBe(highest);
  });
});
