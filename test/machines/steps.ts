/** What is tried on the cluster of emulated machines, in this order: each step begins where the one before has left it. */
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Node } from '../../agent/api/model';
import { lineOf } from '../support/c-programs';
import { expectEqual, expectThat } from '../support/expect';
import { Refused } from '../support/godwit';
import { launch } from '../support/processes';
import { inProject } from '../support/project';
import { type Guest, until } from './guest';
import { type Images, PROGRAMS, PROGRAMS_HERE, WORK } from './image';
import type { Leases, Network } from './network';

export interface Cluster {
  images: Images;
  /** A place for files. */
  folder: string;
  network: Network;
  leases: Leases;
  /** Kernel 6.1, the first node. */
  one: Guest;
  /** Kernel 6.12. */
  two: Guest;
  /** Kernel 6.1 on a CPU of 2008. */
  three: Guest;
}

export interface Step {
  what: string;
  run(cluster: Cluster): Promise<void>;
}

/** Each look is an agent's work, on a machine that has little time for it. */
const POLL_MS = 2_000;
/** A move between two emulated machines, with a debugger. */
const MOVE_MS = 1_800_000;
/** Of a quick image without packages that were asked for; one that is well packed has a sixth less. */
const MOST_ISO_BYTES = 140_000_000;
/** As agent/live/build.ts has it. */
const WORKED_IN = '/var/tmp';
/** As a shell shows SIGINT. */
const INTERRUPTED = 130;
const STEPPER = inProject('test', 'machines', 'guest', 'programs', 'stepper.c');

export const STEPS: Step[] = [
  { what: 'an image is small, and one whose making is interrupted leaves nothing', run: makeImages },
  { what: 'a machine boots, and is the first of a cluster by `cluster init`', run: found },
  { what: 'another boots from the ISO, and is a node by `cluster join`', run: joinByHand },
  { what: 'a third boots with a token on its command line, and joins by itself', run: joinAtBoot },
  { what: 'a job moves from kernel 6.1 to 6.12 and back, and counts on', run: moveBetweenKernels },
  { what: 'gdb stays attached: what `next` has begun on one kernel ends on the other', run: stepAcross },
  { what: 'a machine whose CPU lacks what the job may use is refused by name', run: refuseOldCpu },
  { what: 'a machine gets another address by DHCP, and the cluster heals', run: readdress },
  { what: 'a machine loses its power in the middle of a move: the job runs on at the source', run: cutPower },
  { what: 'it boots again: it is a node as before, and takes the job', run: bootAgain },
];

async function makeImages({ images, folder }: Cluster): Promise<void> {
  const { size } = statSync(images['6.12'].iso);
  expectThat(`the ISO has less than ${MOST_ISO_BYTES} bytes`, size < MOST_ISO_BYTES, `${size}`);
  const works = () => readdirSync(WORKED_IN).filter((name) => name.startsWith('godwit-live-'));
  const before = new Set(works());
  const iso = join(folder, 'interrupted.iso');
  const build = launch([inProject('dist', 'godwit.cjs'), 'live', 'build', '-o', iso]);
  build.stdout!.resume();
  build.stderr!.resume();
  const ended = once(build, 'close');
  const isNew = (name: string) => !before.has(name);
  const isUnderWay = () =>
    works().some((name) => isNew(name) && existsSync(join(WORKED_IN, name, 'root/usr')));
  await until('the work has begun', () => build.exitCode !== null || isUnderWay());
  build.kill('SIGINT');
  expectEqual('its exit status', (await ended)[0], INTERRUPTED);
  expectThat('no folder is left', !works().some(isNew), works().join());
  expectThat(
    'no image',
    readdirSync(folder).every((name) => !name.includes('interrupted')),
  );
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes('godwit-live-'));
  expectThat('no mount', mounts.length === 0, mounts.join());
}

async function found({ one, leases }: Cluster): Promise<void> {
  await one.boot();
  await one.until(`ip -4 -o address show dev eth0 | grep -q ' ${leases[one.plan.mac]}/'`);
  await one.sh('godwit cluster init');
  await one.reach(leases[one.plan.mac]!);
}

async function joinByHand({ one, two, leases }: Cluster): Promise<void> {
  // `godwit cluster join TOKEN`, as it is printed.
  const line = await one.godwit.text(['cluster', 'token']);
  await two.boot();
  await two.until(`ip -4 -o address show dev eth0 | grep -q ' ${leases[two.plan.mac]}/'`);
  await two.sh(line);
  await two.reach(leases[two.plan.mac]!);
}

async function joinAtBoot({ one, two, three, leases }: Cluster): Promise<void> {
  const token = (await one.godwit.text(['cluster', 'token'])).split(' ').at(-1)!.trim();
  await three.boot(`godwit.token=${token}`);
  // Its last act when it has joined.
  await three.until('[ -s /etc/godwit/agent.json ] && [ ! -e /run/godwit-live/token ]');
  await three.reach(leases[three.plan.mac]!);
  for (const guest of [one, two, three]) await untilShown(guest, ['one up', 'two up', 'three up']);
}

async function moveBetweenKernels({ one, two }: Cluster): Promise<void> {
  const kernels = await Promise.all([one, two].map((guest) => guest.sh('uname -r')));
  expectThat('the kernels are 6.1 and 6.12', /^6\.1\..* 6\.12\./.test(kernels.join(' ')), kernels.join(' '));
  const job = await count(one);
  for (const [there, name] of [
    [two.name, two.name],
    ['home', one.name],
  ] as const) {
    await one.godwit.migrate(job, there, MOVE_MS);
    await countsOn(one, job, name);
  }
  await end(one, job);
}

/** Both of its `next` are in the middle of a call when the job moves. */
async function stepAcross({ one, two }: Cluster): Promise<void> {
  await one.sh(`rm -f ${WORK}/*`);
  const { id } = await one.godwit.run([`${PROGRAMS}/stepper`], { cwd: WORK, stopped: true });
  const gdb = await one.godwit.gdb(id);
  try {
    for (const command of [`file ${PROGRAMS_HERE}/stepper`, 'break main', 'continue', 'next'])
      await gdb.do(command, MOVE_MS);
    for (const [round, there, text] of [
      ['1', two.name, '/* arrived */'],
      ['2', one.name, '/* at home */'],
    ] as const) {
      const step = gdb.start('next');
      await one.until(`[ -e ${WORK}/begun-${round} ]`);
      await one.godwit.migrate(id, there, MOVE_MS);
      expectThat('the step has not ended', !step.answered);
      await one.sh(`touch ${WORK}/go-${round}`);
      await step.result(MOVE_MS);
      expectEqual('where the job is', (await one.godwit.job(id)).node, there);
      const stands = await gdb.do('frame', MOVE_MS);
      expectThat(`gdb stands at ${text}`, stands.includes(`stepper.c:${lineOf(STEPPER, text)}`), stands);
      if (round === '1') await gdb.do('next', MOVE_MS);
    }
    expectEqual('the value that has been there', await gdb.print('value'), '42');
    await gdb.do('detach', MOVE_MS);
  } finally {
    gdb.kill();
  }
  expectEqual('its exit status', (await one.godwit.wait(id)).exit, 0);
  expectEqual('what it has printed', await one.godwit.logs(id), '42\n');
}

async function refuseOldCpu({ one, three }: Cluster): Promise<void> {
  const cpu = await three.sh("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo");
  expectThat('the CPU is a Nehalem', /Nehalem/.test(cpu), cpu);
  const job = await count(one);
  const { can, obstacles } = await one.godwit.why(job, 'three');
  const [first] = obstacles;
  expectThat('it is refused', !can && first?.code === 'cpu-features', JSON.stringify(obstacles));
  expectThat('by the names of what is missing', /^three's CPU lacks .*avx/.test(first!.what), first!.what);
  const refused = await refusalOf(one.godwit.migrate(job, 'three', MOVE_MS));
  expectThat('the move is refused as well', refused.includes('CPU lacks'), refused);
  await countsOn(one, job, 'one');
  await end(one, job);
}

async function readdress({ one, two, three, network, leases }: Cluster): Promise<void> {
  const before = leases[three.plan.mac]!;
  const after = before.replace(/\d+$/, (last) => `${Number(last) + 100}`);
  await network.lease({ ...leases, [three.plan.mac]: after });
  // It asks for the address that it has, and is refused.
  await three.sh('kill -USR1 "$(cat /run/udhcpc.eth0.pid)"');
  await three.until(`ip -4 -o address show dev eth0 | grep -q ' ${after}/'`);
  await three.reach(after);
  for (const guest of [one, two, three])
    await untilNodes(
      guest,
      `three is up at ${after}`,
      (nodes) =>
        nodes.every(({ state }) => state === 'up') &&
        nodes.some(({ name, address }) => name === 'three' && address === after),
    );
  // In both directions.
  for (const [from, to] of [
    [one, three],
    [three, two],
  ] as const) {
    const { id } = await from.godwit.run(['/bin/true'], { on: to.name, cwd: '/' });
    expectEqual(`what ${from.name} has launched on ${to.name}`, (await from.godwit.wait(id)).exit, 0);
  }
}

async function cutPower({ one, two, three }: Cluster): Promise<void> {
  const job = await count(one, '64');
  const move = refusalOf(one.godwit.migrate(job, 'two', MOVE_MS));
  // It may end before it is waited for.
  move.catch(() => {});
  // Its memory begins to arrive.
  await two.until('ls /var/lib/godwit/node/images/*/*.img');
  await two.kill();
  await move;
  await countsOn(one, job, 'one');
  for (const guest of [one, three]) await untilShown(guest, ['one up', 'two down', 'three up']);
  await end(one, job);
}

async function bootAgain({ one, two, three, leases }: Cluster): Promise<void> {
  await two.boot();
  await two.until('godwit nodes');
  await two.reach(leases[two.plan.mac]!);
  for (const guest of [one, two, three]) await untilShown(guest, ['one up', 'two up', 'three up']);
  const job = await count(one);
  await one.godwit.migrate(job, 'two', MOVE_MS);
  await countsOn(one, job, 'two');
  await end(one, job);
}

/** A job that counts, with that much memory. */
async function count(home: Guest, mebibytes = '8'): Promise<string> {
  await home.sh(`rm -f ${WORK}/*`);
  const { id } = await home.godwit.run([`${PROGRAMS}/counter`, mebibytes], { cwd: WORK });
  await countsOn(home, id, home.name);
  return id;
}

/** Some numbers more than there are now. */
async function countsOn(home: Guest, job: string, node: string): Promise<void> {
  const counted = async () => (await home.godwit.logs(job)).split('\n').length;
  const before = await counted();
  await until(`more than ${before} numbers`, async () => (await counted()) > before + 5, POLL_MS);
  expectEqual('where the job is', (await home.godwit.job(job)).node, node);
}

/** No number is missing, and none is there twice. */
async function end(home: Guest, job: string): Promise<void> {
  await home.sh(`touch ${WORK}/end`);
  expectEqual('its exit status', (await home.godwit.wait(job)).exit, 0);
  const numbers = (await home.godwit.logs(job)).trim().split('\n');
  const wrong = numbers.findIndex((number, at) => number !== `${at + 1}`);
  const around = numbers.slice(Math.max(0, wrong - 1), wrong + 3).join(' ');
  expectThat('it has counted each number once', wrong < 0, around);
}

/** What a command that has to be refused says. */
async function refusalOf(asked: Promise<unknown>): Promise<string> {
  const refused = await asked.then(
    () => null,
    (error: Error) => error,
  );
  if (!(refused instanceof Refused)) throw refused ?? new Error('it was not refused');
  return refused.line;
}

const untilShown = (guest: Guest, states: string[]) =>
  untilNodes(guest, states.join(', '), (nodes) => {
    const shown = nodes.map(({ name, state }) => `${name} ${state}`);
    return shown.sort().join() === states.toSorted().join();
  });

/** As this guest sees them. */
const untilNodes = (guest: Guest, what: string, is: (nodes: Node[]) => boolean): Promise<void> =>
  until(`${guest.name} sees: ${what}`, async () => is(await guest.godwit.nodes()), POLL_MS);
