/** The Debian package on a machine of its own: installed, upgraded under a job, removed, purged. */
import { copyFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { version } from '../../package.json';
import { debianPackage, packageObstacle } from '../support/debian-package';
import { configureNodes, USUAL_PLACE } from '../support/lone-node';
import { Machine } from '../support/machine';
import { inProject } from '../support/project';

const SOON = { timeout: 120_000, interval: 50 };
const NEWER = '99.0';

const obstacle = (await packageObstacle()) ?? Machine.obstacle();

let folder: string;
let machine: Machine;
/** On the machine. */
let deb: string;
let newer: string;
let before: string;

const installing = (file: string) =>
  machine.sh(`DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install -y ${file} 2>&1`);
const removing = (how: 'remove' | 'purge') =>
  machine.run('apt-get', '-qq', '-oDpkg::Use-Pty=0', how, '-y', 'godwit');
/** What has its name, where it is not the sources' CRIU. */
/** Below the machine's own folders; what other tests have in theirs on this machine is seen there as well. */
const named = () =>
  machine.sh(
    "find /etc /opt /run /srv /sys/fs/cgroup /tmp /usr /var -name '*godwit*' ! -path '/var/lib/godwit/*' ! -path '/tmp/*' | sort",
  );
const mainPid = async () =>
  Number(await machine.sh('systemctl show --property=MainPID --value godwit-agent'));
const launch = async (): Promise<{ id: string; pid: number }> =>
  JSON.parse(await machine.sh('godwit run --detach --json -- sleep 1000'));
const jobs = async (): Promise<{ id: string; state: string; pid: number }[]> =>
  JSON.parse(await machine.sh('godwit ps --json'));

beforeAll(async () => {
  if (obstacle) return;
  folder = mkdtempSync(join(tmpdir(), 'godwit-deb-'));
  const made = await debianPackage(folder);
  machine = await Machine.boot(`t${process.pid}-debian`);
  // This machine's /tmp is not the other's.
  deb = join('/root', basename(made));
  newer = deb.replace(version, NEWER);
  copyFileSync(made, machine.path(deb));
  await machine.sh(`cd /root; dpkg-deb -R ${deb} newer; sed -i 's/^Version: .*/Version: ${NEWER}/' newer/DEBIAN/control
    dpkg-deb -Znone --build newer ${newer} >/dev/null; rm -r newer`);
  // An index of man pages is not what is tested.
  await machine.sh('rm -f /var/lib/man-db/auto-update');
  before = await named();
});
afterAll(async () => {
  if (obstacle) return;
  await machine.end();
  rmSync(folder, { recursive: true });
});

describe.skipIf(obstacle)('the Debian package', () => {
  it('brings the command, the agent with its Node.js, the service and man pages, and says the next step', async () => {
    expect(await installing(deb)).toMatch(/is no node yet.*\n.*godwit cluster init/);
    expect(await machine.sh('godwit --version')).toBe(version);
    const doctor = JSON.parse((await machine.run('godwit', 'doctor', '--json')).stdout);
    expect(doctor.filter(({ ok }: { ok: boolean }) => !ok)).toEqual([]);
    expect(doctor[2]).toMatchObject({ found: expect.stringContaining('/usr/lib/godwit/node') });
    const files = (await machine.sh('dpkg -L godwit')).split('\n');
    const pages = readdirSync(inProject('docs', 'man')).map((page) => `/usr/share/man/man1/${page}.gz`);
    expect(files).toEqual(expect.arrayContaining([...pages, '/usr/share/doc/godwit/copyright']));
    expect(await machine.sh('dpkg --verify godwit')).toBe('');
    expect(await machine.sh('getent group godwit | cut -d: -f1')).toBe('godwit');
    const verified = await machine.run('systemd-analyze', 'verify', 'godwit-agent.service');
    expect(verified).toEqual({ status: 0, stdout: '', stderr: '' });
    expect((await machine.run('systemctl', 'is-enabled', 'godwit-agent')).stdout).toBe('disabled\n');
  });

  it('says how to get a CRIU where none serves, and leaves one that does', async () => {
    const away = 'mv /var/lib/godwit/criu/bin/criu /var/lib/godwit/criu/bin/away';
    const lacking = await machine.sh(`${away}; PATH=/nowhere /usr/bin/godwit doctor --json || true`);
    expect(JSON.parse(lacking).find(({ check }: { check: string }) => check === 'criu')).toMatchObject({
      ok: false,
      fix: 'run `/usr/lib/godwit/get-criu` as root',
    });
    await machine.sh('mv /var/lib/godwit/criu/bin/away /var/lib/godwit/criu/bin/criu');
    expect(await machine.sh('/usr/lib/godwit/get-criu')).toMatch(/^setup: CRIU: .* saves TCP connections$/);
    expect(machine.has('/var/lib/godwit/criu/.of-package')).toBe(false);
  });

  it('has the service that is started, also at each boot', async () => {
    await configureNodes([USUAL_PLACE], machine.root);
    expect(await machine.sh('godwit agent --start')).toBe(
      'started the service godwit-agent.service, now and at each boot',
    );
    expect(machine.has('/etc/systemd/system/godwit-agent.service')).toBe(false);
    expect(await machine.sh('systemctl is-enabled godwit-agent')).toBe('enabled');
  });

  it('is upgraded under a job, whose agent is another then', async () => {
    const { id, pid } = await launch();
    const [agent, keeper] = [await mainPid(), machine.read('/var/lib/godwit/node/keeper.pid')];
    await installing(newer);
    expect(await machine.sh('dpkg -s godwit')).toContain(`Version: ${NEWER}\n`);
    await vi.waitFor(async () => expect(await jobs()).toMatchObject([{ id, pid, state: 'running' }]), SOON);
    expect([0, agent]).not.toContain(await mainPid());
    expect(machine.read('/var/lib/godwit/node/keeper.pid')).toBe(keeper);
  });

  it('is not removed while a job runs', async () => {
    const agent = await mainPid();
    const [job] = await jobs();
    const { status, stdout, stderr } = await removing('remove');
    expect(status).not.toBe(0);
    expect(stdout + stderr).toMatch(/jobs run on first.*\n.*godwit: not removed/);
    expect(await mainPid()).toBe(agent);
    expect(await jobs()).toMatchObject([{ id: job!.id, pid: job!.pid, state: 'running' }]);
    await machine.sh(`godwit kill ${job!.id}`);
    await vi.waitFor(async () => expect(await jobs()).toEqual([]), SOON);
  });

  it('is not removed while a lab is up, and the agent is not ended', async () => {
    const agent = await mainPid();
    await machine.sh('godwit lab up --nodes 1');
    const { status, stderr } = await removing('remove');
    expect([status, stderr]).toEqual([
      expect.any(Number),
      expect.stringContaining('a lab by: godwit lab down'),
    ]);
    expect(await mainPid()).toBe(agent);
    await machine.sh('godwit lab down');
  });

  it('is removed with its agent and keeper; what the node knows stays, and serves again', async () => {
    expect((await removing('remove')).status).toBe(0);
    expect(await machine.sh("pgrep -f '[/]usr/lib/godwit' || true; find /etc/systemd -name '*godwit*'")).toBe(
      '',
    );
    expect(machine.has('/etc/godwit/agent.json')).toBe(true);
    expect(await installing(deb)).toContain('its agent does not run');
    await machine.sh('godwit agent --start');
    expect(await jobs()).toEqual([]);
  });

  it('leaves nothing when it is purged', async () => {
    expect((await removing('purge')).status).toBe(0);
    expect(await named()).toBe(before);
    expect(machine.has('/var/lib/godwit/node')).toBe(false);
    expect((await machine.run('getent', 'group', 'godwit')).status).not.toBe(0);
    expect(await machine.sh("pgrep -f '[/]usr/lib/godwit' || true")).toBe('');
  });
});
