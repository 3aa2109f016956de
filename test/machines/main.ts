/** `npm run test:machines`: a cluster of emulated machines with kernels of their own, made as a person makes one. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { endAll } from '../support/processes';
import { Guest, type GuestPlan } from './guest';
import { images, type Kernel, RUNS } from './image';
import { type Leases, Network } from './network';
import { type Cluster, STEPS } from './steps';

/** All but what kernel 6.12 does wrong with, when it is emulated: it panics at boot at times. */
const MODERN = 'max,-cx16';
const GUESTS: (GuestPlan & { kernel: Kernel })[] = [
  { name: 'one', kernel: '6.1', from: 'network', cpu: MODERN, tap: 'tap1', mac: '52:54:00:77:00:01' },
  { name: 'two', kernel: '6.12', from: 'iso', cpu: MODERN, tap: 'tap2', mac: '52:54:00:77:00:02' },
  { name: 'three', kernel: '6.1', from: 'network', cpu: 'Nehalem', tap: 'tap3', mac: '52:54:00:77:00:03' },
];
const LEASES: Leases = Object.fromEntries(GUESTS.map(({ mac }, at) => [mac, `10.77.0.${at + 11}`]));

const say = (line: string) => process.stdout.write(`${line}\n`);
const since = (begun: number) => `${Math.round((performance.now() - begun) / 1000)} s`;

/** What a run has made, to be taken away in the opposite order. */
const remains: (() => unknown)[] = [];
async function clear(): Promise<void> {
  for (let remove = remains.pop(); remove; remove = remains.pop()) await remove();
}

async function main(): Promise<boolean> {
  const folder = runFolder();
  remains.push(() => rmSync(folder, { recursive: true, force: true }));
  remains.push(endAll);
  const made = await images(folder, say);
  const network = await Network.make(
    GUESTS.map(({ tap }) => tap),
    folder,
  );
  remains.push(() => network.remove());
  await network.lease(LEASES);
  const guests: Guest[] = [];
  for (const plan of GUESTS) guests.push(await Guest.make(plan, made[plan.kernel], network, folder));
  remains.push(() => Promise.all(guests.map((guest) => guest.kill())));
  const [one, two, three] = guests as [Guest, Guest, Guest];
  return tryAll({ images: made, folder, network, leases: LEASES, one, two, three });
}

/** Each begins where the one before has left the cluster: after a failure none is tried. */
async function tryAll(cluster: Cluster): Promise<boolean> {
  let failed = false;
  for (const [at, { what, run }] of STEPS.entries()) {
    const begun = performance.now();
    if (failed) {
      say(`not tried: ${at + 1}. ${what}`);
      continue;
    }
    try {
      await run(cluster);
      say(`passed: ${at + 1}. ${what} (${since(begun)})`);
    } catch (error) {
      failed = true;
      say(`failed: ${at + 1}. ${what} (${since(begun)}): ${(error as Error).message}`);
    }
  }
  return !failed;
}

/** Its name has the process, so that what was killed can be told from what runs. */
function runFolder(): string {
  mkdirSync(RUNS, { recursive: true });
  for (const name of readdirSync(RUNS))
    if (!existsSync(`/proc/${name.split('-')[0]}`)) rmSync(join(RUNS, name), { recursive: true });
  return mkdtempSync(join(RUNS, `${process.pid}-`));
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => {
    say('interrupted');
    void clear().finally(() => process.exit(1));
  });

main()
  .catch((error: Error) => {
    process.stderr.write(`${error.stack}\n`);
    return false;
  })
  .then(async (passed) => {
    await clear();
    process.exitCode = passed ? 0 : 1;
  });
