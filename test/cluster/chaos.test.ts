/**
 * A sample of `npm run chaos`: steps of a move are struck, each once, by faults in turn; then some moves with any fault
 * anywhere.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { FaultPoint } from '../../agent/daemon/migration/fault-points';
import { Chaos, POINTS, randomBlow, randomFrom } from '../support/chaos';
import { FaultLab } from '../support/fault-lab';
import { type Cast, FAULTS, type Fault, LONG_FAULTS } from '../support/faults';
import { LONG } from '../support/long';

const SEED = 7;
const RANDOM_MOVES = LONG ? 8 : 4;
/** One step in so many is struck, other ones in each test. */
const STRIDE = LONG ? 3 : 6;
const ABROAD: Cast = { home: 'node1', source: 'node2', destination: 'node3' };
const FROM_HOME: Cast = { home: 'node1', source: 'node1', destination: 'node2' };

let lab: FaultLab;
let chaos: Chaos;
const said: string[] = [];

beforeAll(async () => {
  lab = await FaultLab.up(`chaos${process.pid}`);
  chaos = new Chaos(lab, (line) => said.push(line));
});
afterAll(async () => {
  await chaos?.abandon();
  await lab?.down();
});

const named = (name: string): Fault => [...FAULTS, ...LONG_FAULTS].find((fault) => fault.name === name)!;

/** Those that can strike at any step; the others are of processes that live for a part of a move only. */
const ANYWHERE = FAULTS.filter(({ name }) => /^(agent|keeper|link)/.test(name));

async function struck(at: FaultPoint, fault: Fault, cast: Cast, debugged: boolean): Promise<void> {
  said.length = 0;
  const result = await chaos.strike({ at, fault, cast, debugged });
  const told = `${at}, ${fault.name}: ${JSON.stringify(result)}\n${said.join('\n')}`;
  expect(typeof result, told).toBe('string');
  expect(result, told).not.toBe('none');
}

test.for([
  { cast: ABROAD, debugged: false, offset: 0, title: 'abroad' },
  { cast: ABROAD, debugged: true, offset: 1, title: 'abroad, under a debugger' },
  { cast: FROM_HOME, debugged: false, offset: 2, title: 'from home' },
])('steps of a move are struck: $title', async ({ cast, debugged, offset }) => {
  for (const [index, point] of POINTS.entries()) {
    // Another fault every time.
    if (index % STRIDE !== offset) continue;
    const fault = ANYWHERE[(index + offset) % ANYWHERE.length]!;
    // A lost debugger is an exception, and tried below.
    if (debugged && fault.mayLose !== 'never') continue;
    await struck(point, fault, cast, debugged);
  }
  expect(await chaos.finish(), said.join('\n')).toBeNull();
});

test('CRIU and its page server are killed', { timeout: 600_000 }, async () => {
  await struck('source.parked', named('CRIU that takes pages'), ABROAD, false);
  await struck('destination.restore-started', named('CRIU that restores'), ABROAD, false);
  await struck('source.dump-started', named('CRIU that dumps'), ABROAD, false);
  expect(await chaos.finish(), said.join('\n')).toBeNull();
});

test('keepers and gdbservers are killed under a debugger', { timeout: 600_000 }, async () => {
  await struck('home.intent-written', named('gdbserver of source'), ABROAD, true);
  await struck('source.parked', named('keeper of source'), ABROAD, true);
  await struck('destination.thawing-noted', named('keeper of destination'), ABROAD, true);
  await struck('destination.unparked', named('keeper of destination'), ABROAD, true);
  expect(await chaos.finish(), said.join('\n')).toBeNull();
});

test('the home is away for long while the debugger is put back', { timeout: 600_000 }, async () => {
  await struck('destination.thawing-noted', named('long-dead link of home'), ABROAD, true);
  expect(await chaos.finish(), said.join('\n')).toBeNull();
});

test('any fault anywhere, while the cluster moves others by itself', { timeout: 600_000 }, async () => {
  const random = randomFrom(SEED);
  const job = { home: 'node3', source: 'node1', debugged: false };
  await chaos.balances(job.home);
  for (let move = 0; move < RANDOM_MOVES; move++) {
    const blow = randomBlow(random, FAULTS, lab.nodes, job);
    const result = await chaos.strike(blow);
    expect(typeof result, `move ${move}: ${JSON.stringify(result)}\n${said.join('\n')}`).toBe('string');
    job.source = blow.cast.destination;
  }
  expect(await chaos.finish(), said.join('\n')).toBeNull();
  expect(chaos.totals).toMatchObject({ lost: 0, doubled: 0, 'lines wrong': 0 });
});
