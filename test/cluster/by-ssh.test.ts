/** `godwit cluster add` and `remove --uninstall`: from one machine to another, by a real ssh and a real sshd. */
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { CHECKPOINT, KEEPER, PROTOCOL, type Versions } from '../../agent/api/versions';
import { childrenOf } from '../../agent/machine/proc/identity';
import { version } from '../../package.json';
import { debianPackage, packageObstacle } from '../support/debian-package';
import { laterBuild } from '../support/later-build';
import { Machine } from '../support/machine';
import { launch, type Outcome, run } from '../support/processes';
import { inProject } from '../support/project';

const SOON = { timeout: 120_000, interval: 50 };
const command = [process.execPath, inProject('dist', 'godwit.cjs')];
/** As the person's ssh has it. */
const HOST = 'other-one';

const obstacle = (await packageObstacle()) ?? Machine.obstacle();
let here: Machine;
let there: Machine;
let before: string;

const godwit = (...args: string[]): Promise<Outcome> => here.run(...command, ...args);
const json = async (...args: string[]) => {
  const { status, stdout, stderr } = await godwit(...args, '--json');
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout);
};
const nodes = async (): Promise<Record<string, string>> =>
  Object.fromEntries(
    (await json('nodes')).map(({ name, state }: { name: string; state: string }) => [name, state]),
  );
/** What is on the other machine of Godwit's. */
const traces = () =>
  there.sh(`find /etc /opt /run /srv /sys/fs/cgroup /tmp /usr /var -name '*godwit*' | sort
    pgrep -fa '[a]gent.cjs|[k]eeper.cjs' || true`);
const fail = async (...args: string[]): Promise<string> => {
  const { status, stderr } = await godwit('cluster', 'add', ...args);
  expect(status).toBe(1);
  expect(await traces()).toBe(before);
  expect(await nodes()).toEqual({ first: 'up' });
  return stderr.trim().split('\n').at(-1)!;
};

/** Its own keys and users; nothing of this machine's. */
async function serveSsh(): Promise<void> {
  await here.sh('mkdir -m 700 /root/.ssh; ssh-keygen -q -t ed25519 -N "" -f /root/.ssh/id_ed25519');
  await there.sh('ssh-keygen -q -t ed25519 -N "" -f /root/host-key; mkdir -p /run/sshd /etc/ssh/keys');
  const key = here.read('/root/.ssh/id_ed25519.pub');
  for (const user of ['root', 'ann', 'ben']) there.write(`/etc/ssh/keys/${user}`, key);
  for (const user of ['ann', 'ben'])
    await there.sh(`userdel ${user} 2>&- || true; useradd --create-home --password '*' ${user}`);
  there.write('/etc/sudoers.d/ann', 'ann ALL=(ALL) NOPASSWD: ALL\n');
  const settings = ['HostKey /root/host-key', 'AuthorizedKeysFile /etc/ssh/keys/%u', 'UsePAM no'];
  there.write('/root/sshd_config', `${[...settings, 'PermitRootLogin yes'].join('\n')}\n`);
  await there.sh('systemd-run --quiet --unit=sshd-of-test /usr/sbin/sshd -D -f /root/sshd_config');
  const [type, base64] = there.read('/root/host-key.pub').split(' ');
  here.write('/root/.ssh/known_hosts', `10.77.0.2 ${type} ${base64}\n`);
  here.write('/root/.ssh/config', `Host ${HOST}\n  HostName 10.77.0.2\nHost *\n  BatchMode yes\n`);
  await vi.waitFor(() => here.sh(`ssh ${HOST} true`), SOON);
}

/** The one that serves here. */
async function bringCriu(): Promise<void> {
  await there.sh('mkdir -p /var/lib/godwit');
  const criu = 'tar -c -C /var/lib/godwit criu';
  await run(['sh', '-c', `${criu} | tar -x -C ${there.path('/var/lib/godwit')}`]);
}

beforeAll(async () => {
  if (obstacle) return;
  [here, there] = (await Promise.all(
    ['first', 'second'].map((hostname) => Machine.boot(`t${process.pid}-ssh-${hostname}`, { hostname })),
  )) as [Machine, Machine];
  await Machine.connect([
    { machine: here, address: '10.77.0.1' },
    { machine: there, address: '10.77.0.2' },
  ]);
  // The other machine has no CRIU that serves.
  await there.sh('rm -rf /var/lib/godwit');
  await serveSsh();
  before = await traces();
  expect((await godwit('cluster', 'init')).stderr).toContain('the agent of first is up');
});
afterAll(async () => {
  await here?.end();
  await there?.end();
});

describe.skipIf(obstacle)('another machine', () => {
  it.each([
    ['of root’s', HOST],
    ['of a user with sudo', `ann@${HOST}`],
  ])(
    '%s is a node with one line, takes a job, and has nothing left when it is taken out',
    async (_whose, at) => {
      const { status, stdout, stderr } = await godwit('cluster', 'add', at, '--json');
      expect(status, stderr).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ name: 'second', address: '10.77.0.2' });
      expect(stderr.split('\n').map((line) => line.replace(/[\d.]+[\d]/g, 'N'))).toEqual(
        expect.arrayContaining([
          `connected to ${at}`,
          `bringing Godwit N to ${at}`,
          `looking at what ${at} has`,
          `bringing CRIU N to ${at}`,
          `joining ${at}`,
          `${at}: the agent of second is up`,
          'second has joined',
        ]),
      );
      await vi.waitFor(async () => expect(await nodes()).toEqual({ first: 'up', second: 'up' }), SOON);
      const { id } = JSON.parse((await godwit('run', '--detach', '--json', '--', 'sleep', '1000')).stdout);
      expect(await json('migrate', id, 'second')).toMatchObject({ from: 'first', to: 'second' });

      const refused = await godwit('cluster', 'remove', 'second', '--uninstall', '--host', at);
      expect([refused.status, refused.stderr]).toEqual([1, expect.stringMatching(/job/)]);
      await vi.waitFor(async () => expect(await nodes()).toEqual({ first: 'up', second: 'up' }), SOON);
      await godwit('kill', id);
      await vi.waitFor(async () => expect(await json('ps')).toEqual([]), SOON);
      await vi.waitFor(async () => {
        const removed = await godwit('cluster', 'remove', 'second', '--uninstall', '--host', at);
        expect(removed.status, removed.stderr).toBe(0);
      }, SOON);
      expect(await nodes()).toEqual({ first: 'up' });
      expect(await traces()).toBe(before);
    },
  );

  it('that lacks what can’t be brought has nothing left, also of an earlier try', async () => {
    await there.sh(`mv /dev/fuse /dev/away; mkdir -p /usr/local/lib/godwit /var/lib/godwit/criu/half
      echo criu >/usr/local/lib/godwit/brought`);
    expect(await fail(HOST)).toMatch(/^godwit: other-one can be no node: fuse: .*modprobe fuse$/);
    await there.sh('mv /dev/away /dev/fuse');
  });

  it('that can’t join is left as it was', async () => {
    expect(await fail(HOST, '--name', 'first')).toMatch(/^godwit: other-one: `godwit cluster join`: .*first/);
  });

  it('is left as it was when it is cancelled while it is brought something', async () => {
    const adding = launch([...here.entering, ...command, 'cluster', 'add', HOST]);
    const said: string[] = [];
    createInterface({ input: adding.stderr! }).on('line', (line) => said.push(line));
    await vi.waitFor(() => expect(said.at(-1)).toMatch(/^bringing Godwit/), SOON);
    // nsenter(1) waits for it, and ends as it does.
    const [program] = await childrenOf(adding.pid!);
    process.kill(program!.pid, 'SIGINT');
    expect(await once(adding, 'close')).toEqual([130, null]);
    expect(said.at(-1)).toMatch(/^bringing Godwit/);
    expect(await traces()).toBe(before);
  });

  it('whose user has no rights is not touched', async () => {
    expect(await fail(`ben@${HOST}`)).toMatch(/is not root, and `sudo -n` asks/);
  });

  describe('that has another version of its own', () => {
    /** A later one, as a person may have put it there; a CRIU is for who installs it to bring. */
    async function install(version: string, protocol: Versions): Promise<void> {
      const later = { version, protocol, checkpoint: CHECKPOINT, keeper: KEEPER + 1 };
      await laterBuild(there.path('/srv/later'), later);
      const script = `#!/bin/sh\nexec ${process.execPath} /srv/later/godwit.cjs "$@"\n`;
      there.write('/usr/local/bin/godwit', script);
      await there.sh('chmod 755 /usr/local/bin/godwit');
      await bringCriu();
    }
    afterEach(() => there.sh('rm -rf /srv/later /usr/local/bin/godwit /var/lib/godwit'));
    const { oldest, newest } = PROTOCOL;

    it('is joined as it is, if both understand each other', async () => {
      await install('0.9.1', { oldest, newest: newest + 1 });
      const { status, stderr } = await godwit('cluster', 'add', HOST);
      expect(status, stderr).toBe(0);
      expect(stderr).toContain(`${HOST} has Godwit 0.9.1\n`);
      expect(stderr).not.toContain('bringing Godwit');
      await vi.waitFor(async () => expect(await nodes()).toEqual({ first: 'up', second: 'up' }), SOON);
      await there.sh('godwit cluster leave');
      expect(await nodes()).toEqual({ first: 'up' });
    });

    it('is left as it was, if not', async () => {
      await install('0.9.2', { oldest: newest + 1, newest: newest + 2 });
      const found = await traces();
      const { status, stderr } = await godwit('cluster', 'add', HOST);
      expect([status, stderr]).toEqual([1, expect.stringMatching(/`godwit cluster join`: .*version/)]);
      expect(await traces()).toBe(found);
      expect(await nodes()).toEqual({ first: 'up' });
    });
  });

  it('that ssh does not know is not spoken with, and options for ssh are passed on', async () => {
    const { status, stderr } = await godwit(
      'cluster',
      'add',
      HOST,
      '--',
      '-o',
      'UserKnownHostsFile=/dev/null',
      '-o',
      'StrictHostKeyChecking=yes',
    );
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/Host key verification failed[\s\S]*ssh does not come to other-one/),
    ]);
  });

  it('that has a package is joined as it is, and the package purged when it is taken out', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'godwit-deb-'));
    copyFileSync(await debianPackage(folder), there.path('/srv/package.deb'));
    rmSync(folder, { recursive: true });
    await there.sh(
      'rm -f /var/lib/man-db/auto-update; apt-get -qq -oDpkg::Use-Pty=0 install -y /srv/package.deb',
    );
    // What is not its own to bring is left to who has installed the package.
    const { status, stderr } = await godwit('cluster', 'add', HOST);
    expect([status, stderr]).toEqual([1, expect.stringContaining('run `/usr/lib/godwit/get-criu` as root')]);
    expect(await there.sh('godwit --version')).toBe(version);
    await bringCriu();
    expect((await godwit('cluster', 'add', HOST)).status).toBe(0);
    expect(there.has('/usr/local/lib/godwit')).toBe(false);
    const removed = await godwit('cluster', 'remove', 'second', '--uninstall', '--host', HOST);
    expect(removed.status, removed.stderr).toBe(0);
    expect(await nodes()).toEqual({ first: 'up' });
    // The CRIU was not the package's.
    await there.sh('rm -r /var/lib/godwit/criu; rmdir /var/lib/godwit');
    expect(await traces()).toBe(before);
  });

  it('gets the packages that it lacks, and loses them where it does not become a node', async () => {
    await there.sh(LACKING);
    const has = () => there.sh('command -v gdbserver || true; command -v companion-of-test || true');
    expect(await has()).toBe('');
    await there.sh('mv /dev/fuse /dev/away');
    expect(await fail(HOST)).toContain('fuse');
    expect(await has()).toBe('');
    await there.sh('mv /dev/away /dev/fuse');
    const { status, stderr } = await godwit('cluster', 'add', HOST);
    expect(status, stderr).toBe(0);
    expect(stderr).toContain(`installing gdbserver at ${HOST}`);
    expect(await has()).toBe('/usr/bin/gdbserver\n/usr/bin/companion-of-test');
    const removed = await godwit('cluster', 'remove', 'second', '--uninstall', '--host', HOST);
    expect(removed.status, removed.stderr).toBe(0);
    expect(await has()).toBe('');
    expect(await traces()).toBe(before);
  });
});

/** A machine without gdbserver, and a place where apt finds it, with another package that it depends on. */
const LACKING = `mkdir -p /srv/repository; cd /srv/repository; rm -rf /etc/apt/sources.list*
make() {
  mkdir -p /root/$1/DEBIAN /root/$1/usr/bin; cp /usr/bin/gdbserver /root/$1/usr/bin/$2
  printf 'Package: %s\\nVersion: 99\\nArchitecture: all\\nMaintainer: A <a@localhost>\\n%sDescription: of a test\\n' $1 "$3" >/root/$1/DEBIAN/control
  dpkg-deb -Znone --build /root/$1 $1.deb >/dev/null; rm -r /root/$1
  { dpkg-deb -f $1.deb; echo Filename: ./$1.deb; echo Size: $(stat -c %s $1.deb); echo SHA256: $(sha256sum <$1.deb | cut -d' ' -f1); echo; } >>Packages
}
make companion-of-test companion-of-test ''
make gdbserver gdbserver 'Depends: companion-of-test
'
echo 'deb [trusted=yes] file:/srv/repository ./' >/etc/apt/sources.list
dpkg --purge --force-all gdbserver 2>/dev/null >/dev/null`;
