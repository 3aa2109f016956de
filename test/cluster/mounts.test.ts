/** The home's other mounts come and go while its jobs run, at home and elsewhere. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { parseMounts } from '../../agent/machine/proc/parse';
import { godwitOf } from '../support/as-user';
import { FaultLab } from '../support/fault-lab';
import { Godwit } from '../support/godwit';

const LAB = `mounts-${process.pid}`;
/** Unmounting waits for the home's file server to give up what is not used. */
const SOON_MS = 120_000;

const USER = 'games';

let lab: FaultLab;
let godwit: Godwit;
let folder: string;
const mounted = new Set<string>();

beforeAll(async () => {
  // Seen by every node, and so by the home, which is the first.
  folder = mkdtempSync('/var/lib/godwit/mounts-');
  lab = await FaultLab.up(LAB, { users: [USER] });
  godwit = new Godwit({ agent: lab.socket('node1') });
});
afterEach(async () => {
  await lab.recover();
  for (const at of mounted) execFileSync('umount', ['-l', at]);
  mounted.clear();
});
afterAll(async () => {
  await lab?.down();
  rmSync(folder, { recursive: true, force: true });
});

function mount(name: string): string {
  const at = join(folder, name);
  mkdirSync(at, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', 'none', at]);
  mounted.add(at);
  writeFileSync(join(at, 'file'), `of ${name}\n`);
  return at;
}

/** As a person unmounts it, and removes the folder. */
async function unmount(at: string): Promise<void> {
  await lab.comesTo(async () => {
    try {
      execFileSync('umount', [at], { stdio: 'pipe' });
      return null;
    } catch (error) {
      return (error as { stderr: Buffer }).stderr.toString();
    }
  }, SOON_MS);
  mounted.delete(at);
  rmdirSync(at);
}

/** Opens what it is told when the file `go` is there, and says what is in it at each file `say-N`. */
const READER = `
while [ ! -e "$2/go" ]; do sleep 0.2; done
exec 5<"$1"
echo open
for turn in 1 2 3 4; do
  while [ ! -e "$2/say-$turn" ]; do sleep 0.2; done
  head -c 3 <&5 >/dev/null; cat "/proc/self/fd/5"
done`;

async function reader(path: string, on: string) {
  const place = mkdtempSync(join(folder, 'job-'));
  const { id } = await godwit.run(['sh', '-c', READER, 'sh', path, place], { on });
  const told = () => godwit.logs(id);
  const says = async (turn: number, text: string) => {
    writeFileSync(join(place, `say-${turn}`), '');
    await lab.comesTo(async () => ((await told()).endsWith(text) ? null : `it said ${await told()}`));
  };
  const opens = async () => {
    writeFileSync(join(place, 'go'), '');
    await lab.comesTo(async () => ((await told()) === 'open\n' ? null : 'it has not opened its file'));
  };
  return { id, says, opens };
}

/** The mounts below the test's folder that a job on its way has, as its host sees them. */
async function mountsOf(id: string): Promise<string[]> {
  const { node } = await godwit.job(id);
  const pids = await lab.processesWith(node, READER);
  const info = readFileSync(`/proc/${pids[0]}/mountinfo`, 'utf8');
  return parseMounts(info).flatMap(({ at }) => (at.startsWith(`${folder}/`) ? [at] : []));
}

it('a mount that a job does not use goes, and its folder: the job moves on, wherever it is', async () => {
  const [used, unused] = [mount('used'), mount('unused')];
  const job = await reader(join(used, 'file'), 'node1');
  await job.opens();
  await unmount(mount('gone-before'));
  await godwit.migrate(job.id, 'node2');
  expect(await mountsOf(job.id)).toEqual([used]);
  await job.says(1, 'of used\n');
  await unmount(unused);
  await godwit.migrate(job.id, 'node3');
  await job.says(2, 'of used\n');
  await godwit.migrate(job.id, 'node1');
  await job.says(3, 'of used\n');
  expect(await mountsOf(job.id)).toEqual([used]);
});

it('a file that was opened elsewhere, on a mount that the job did not bring along, comes home', async () => {
  const job = await reader(join(folder, 'late', 'file'), 'node2');
  const late = mount('late');
  await job.opens();
  expect(await mountsOf(job.id)).toEqual([]);
  await godwit.migrate(job.id, 'node3');
  await job.says(1, 'of late\n');
  await godwit.migrate(job.id, 'node1');
  expect(await mountsOf(job.id)).toEqual([late]);
  await job.says(2, 'of late\n');
  await godwit.migrate(job.id, 'node2');
  await job.says(3, 'of late\n');
});

/** The mount goes when the destination has looked at what there is. */
async function moveWithout(going: string, job: string, to: string): Promise<void> {
  const point = 'destination.mounts-known';
  lab.arm(to, point);
  const moved = godwit.migrate(job, to);
  await lab.comesTo(async () => (lab.stands(to, point) ? null : 'not there yet'));
  await unmount(going);
  lab.disarm();
  await moved;
}

it('a mount that goes while a job is on its way home keeps nothing back', async () => {
  const kept = mount('stays');
  const going = mount('goes');
  const job = await reader(join(kept, 'file'), 'node2');
  await job.opens();
  await moveWithout(going, job.id, 'node1');
  expect(await mountsOf(job.id)).toEqual([kept]);
  await job.says(1, 'of stays\n');
  await godwit.migrate(job.id, 'node2');
  await job.says(2, 'of stays\n');
});

it('a mount that goes while a job leaves home keeps nothing back', async () => {
  const kept = mount('stays');
  const going = mount('goes');
  const job = await reader(join(kept, 'file'), 'node1');
  await job.opens();
  await moveWithout(going, job.id, 'node2');
  await job.says(1, 'of stays\n');
  await godwit.migrate(job.id, 'node1');
  expect(await mountsOf(job.id)).toEqual([kept]);
  await job.says(2, 'of stays\n');
});

it('a mount that is in use and has gone is named before anything is frozen', async () => {
  const at = mount('lost');
  const job = await reader(join(at, 'file'), 'node1');
  await job.opens();
  await unmount(at);
  const { can, obstacles } = await godwit.why(job.id, 'node2');
  const codes = [...new Set(obstacles.map(({ code }) => code))];
  expect({ can, codes }).toEqual({ can: false, codes: ['mount-gone'] });
  await expect(godwit.migrate(job.id, 'node2')).rejects.toThrow(/on a mount that its home no longer has/);
  expect((await godwit.history(job.id)).map(({ event }) => event)).toEqual(['launched']);
  expect(existsSync(at)).toBe(false);
});

it('a mount in a folder that is closed to the user of a job is not in its way home', async () => {
  const open = mkdtempSync(join('/var/lib/godwit', 'mounts-user-'));
  try {
    const asUser = godwitOf(USER, LAB, open);
    const { id } = await asUser.run(['sleep', '1000'], { on: 'node2', cwd: open });
    // As a container's, below /var/lib/docker: the test's folder is root's alone.
    mount('closed');
    await asUser.migrate(id, 'node1');
    await asUser.migrate(id, 'node3');
    await asUser.migrate(id, 'home');
    expect(await asUser.job(id)).toMatchObject({ state: 'running', node: 'node1' });
    await asUser.kill(id, 'SIGKILL');
  } finally {
    rmSync(open, { recursive: true, force: true });
  }
});
