import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { AgentConfig, type Member } from '../../agent/api/config';
import { PinnedKey } from '../../agent/api/pinned-key';
import { MembersFile } from '../../agent/daemon/cluster/members-file';
import { checkOwnCertificate, Refusals, refusal } from '../../agent/daemon/cluster/membership';
import { Settings } from '../../agent/daemon/cluster/settings';
import { logTo } from '../../agent/log';
import { type Certified, readCertificate, type TlsIdentity } from '../../agent/wire/tls';
import { type Certificates, makeCertificates } from './wire-fixture';

const folder = mkdtempSync(join(tmpdir(), 'godwit-members-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let certificates: Certificates;
beforeAll(async () => {
  certificates = await makeCertificates();
});
const of = ({ cert }: TlsIdentity) => readCertificate(cert)!;
const member = (name: string, key?: string) => ({ name, address: 'a', port: 1, ...(key ? { key } : {}) });

describe('a pinned key', () => {
  const hex = 'ab'.repeat(32);

  it('is the same in all its spellings', () => {
    const base64 = Buffer.from(hex, 'hex').toString('base64');
    for (const text of [hex, hex.toUpperCase(), `sha256:${hex}`, base64, `sha256:${base64}`])
      expect(PinnedKey.parse(text)).toBe(`sha256:${hex}`);
  });

  it.each(['', 'sha256:', `sha1:${hex}`, hex.slice(1), `${hex}0`, `${hex}\n`])('is not %j', (text) => {
    expect(PinnedKey.safeParse(text).success).toBe(false);
  });

  it('is that of openssl(1)', () => {
    // openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | sha256sum
    expect(of(certificates.node1).key).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(of(certificates.node1).key).not.toBe(of(certificates.node2).key);
  });
});

describe('a member', () => {
  it('is who is on the list, by the key that is pinned; a peer is never the node itself', () => {
    const who = of(certificates.node2);
    const code = (members: ReturnType<typeof member>[], own = 'node1') =>
      refusal(members, own, who)?.code ?? null;
    expect(code([member('node2')])).toBeNull();
    expect(code([member('node2', who.key)])).toBeNull();
    expect(code([member('node2', of(certificates.node1).key)])).toBe('wrong-key');
    expect(code([member('node3', who.key)])).toBe('not-a-member');
    expect(code([])).toBe('not-a-member');
    expect(code([member('node2', who.key)], 'node2')).toBe('not-a-member');
  });

  it('shows the certificate by which it is known, or does not start', () => {
    const who = of(certificates.node1);
    const config = (name: string, key?: string) => configured({ name, members: [member(name, key)] });
    const check = (one: AgentConfig, own: Certified | null) => checkOwnCertificate(one, one.members!, own);
    expect(() => check(config('node1', who.key), who)).not.toThrow();
    expect(() => check(config('node1'), who)).not.toThrow();
    expect(() => check(config('node1', of(certificates.node2).key), who)).toThrow(/is pinned for node1/);
    expect(() => check(config('node2'), who)).toThrow(/is for node1, and this node is node2/);
    expect(() => check(config('node1'), null)).toThrow(/is for no node/);
  });

  it('is on the list once', () => {
    const twice = { ...plain, members: [member('node1'), member('node1', 'a'.repeat(64))] };
    expect(AgentConfig.safeParse(twice).success).toBe(false);
  });
});

const plain = {
  ...{ name: 'node1', state: '/s', listen: { host: 'a', port: 1 }, socket: '/a', keeperSocket: '/k' },
  ...{ tls: { ca: '/ca', cert: '/c', key: '/key' }, members: [member('node1')], cgroup: 'c' },
};
const configured = (more: object) => AgentConfig.parse({ ...plain, ...more });

describe('a configuration that is read again', () => {
  const file = join(folder, 'config.json');
  const lines: string[] = [];
  const settings = () =>
    new Settings({
      ...{ file, first: configured({}), elsewhere: null, check: () => {} },
      log: (line) => lines.push(line),
    });
  const reloads = async (text: string, one = settings()) => {
    lines.length = 0;
    writeFileSync(file, text);
    await one.reload();
    return one.now;
  };

  it('is in force at once where it may change, and says what needs a restart', async () => {
    const next = {
      ...plain,
      members: [member('node1'), member('node2')],
      acceptRootJobs: false,
      cgroup: 'd',
    };
    const now = await reloads(JSON.stringify(next));
    expect(now.members.map(({ name }) => name)).toEqual(['node1', 'node2']);
    expect(now.acceptRootJobs).toBe(false);
    expect(now).toMatchObject({ cgroup: 'c' });
    expect(lines[0]).toMatch(/: cgroup: in force after a restart/);
  });

  it.each([
    ['no JSON', '{'],
    ['without this node', JSON.stringify({ ...plain, members: [member('node2')] })],
    ['of another node', JSON.stringify({ ...plain, name: 'node2', members: [member('node2')] })],
  ])('is not taken up: %s', async (_what, text) => {
    expect((await reloads(text)).members).toEqual([member('node1')]);
    expect(lines).toEqual([expect.stringMatching(/^the configuration stays as it was: /)]);
  });

  it('is not taken up where the agent can’t go on with it', async () => {
    const first = configured({});
    const check = (members: readonly Member[]) => {
      if (members.length > 1) throw new Error('not this one');
    };
    const one = new Settings({ file, first, check, elsewhere: null, log: (line) => lines.push(line) });
    const text = JSON.stringify({ ...plain, members: [member('node1'), member('node2')] });
    expect((await reloads(text, one)).members).toHaveLength(1);
    expect(lines).toEqual(['the configuration stays as it was: not this one']);
  });
});

describe('a list of members that another program keeps', () => {
  it('is read again when it changes, and stays as it was where it can not be used', async () => {
    const path = join(folder, 'members.json');
    const lines: string[] = [];
    const write = (...members: object[]) => writeFileSync(path, JSON.stringify(members));
    write(member('node1'));
    const file = await MembersFile.open(
      path,
      logTo((line) => lines.push(JSON.parse(line).msg)),
    );
    let changes = 0;
    file.watch(() => changes++);
    const names = () => file.members.map(({ name }) => name);
    try {
      write(member('node1'), member('node2'));
      await vi.waitFor(() => expect(changes).toBe(1), { timeout: 60_000 });
      expect(names()).toEqual(['node1', 'node2']);
      write(member('node1'), member('node1'), member('node1'));
      await vi.waitFor(() => expect(lines.at(-1)).toMatch(/stay as they were: .*no two/), {
        timeout: 60_000,
      });
      expect(names()).toEqual(['node1', 'node2']);
      write(member('node1'));
      await vi.waitFor(() => expect(names()).toEqual(['node1']), { timeout: 60_000 });
    } finally {
      file.close();
    }
    await expect(
      MembersFile.open(
        join(folder, 'none.json'),
        logTo(() => {}),
      ),
    ).rejects.toThrow(/ENOENT/);
  });
});

it('a refusal is told once, another one too', () => {
  const lines: string[] = [];
  const refusals = new Refusals((line) => lines.push(line));
  for (const line of ['a', 'a', 'b', 'a']) refusals.report(line);
  expect(lines).toEqual(['a', 'b']);
});
