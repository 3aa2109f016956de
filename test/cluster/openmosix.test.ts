/** The page for those who come from openMosix: each command in it does what it says there. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Godwit } from '../support/godwit';
import { textOf } from '../support/sources';
import { Terminal } from '../support/terminal';

const LAB = `mosix${process.pid}`;
/** Run where it can be: at a terminal; where machines join (cluster/joining.test.ts has it). */
const ELSEWHERE: Record<string, 'terminal' | 'joining'> = {
  'godwit top': 'terminal',
  'godwit cluster join SECRET': 'joining',
};
const commands = [
  ...new Set([...textOf('docs/openmosix.md').matchAll(/`(godwit [^`]+)`/g)].map(([, command]) => command!)),
];

let godwit: Godwit;
let job = '';
beforeAll(async () => {
  godwit = await Godwit.labUp(LAB, { nodes: 2 });
});
afterAll(async () => {
  Terminal.closeAll();
  await Godwit.labDown(LAB);
});

/** Each begins with a job of its own, at home, that moves where it is told to. */
async function fresh(): Promise<string> {
  await godwit.text(['undrain', 'node2']);
  if (job) await godwit.kill(job).catch(() => {});
  job = (await godwit.run(['sleep', '1000'], { on: 'home', cwd: '/' })).id;
  return job;
}

/** What must have been done before for the command to have something to do. */
const BEFORE: Record<string, (id: string) => Promise<unknown>> = {
  'godwit migrate JOB home': (id) => godwit.migrate(id, 'node2'),
  'godwit bring': (id) => godwit.migrate(id, 'node2'),
  'godwit unpin JOB': (id) => godwit.text(['pin', id]),
};

it('has commands', () => {
  expect(commands.length).toBeGreaterThan(25);
});

it.each(commands.filter((command) => !(command in ELSEWHERE)))('%s', async (command) => {
  const id = await fresh();
  await BEFORE[command]?.(id);
  const words = command.split(' ').slice(1);
  const args = words.map((word) => {
    if (word === 'JOB') return id;
    return word.replace('NODE', 'node2').replace('HOME', 'node1');
  });
  const best = command.includes(' best');
  const answer = godwit.text(args);
  // The best node may be the one where it is.
  if (best) await answer.catch((error: Error) => expect(error.message).toMatch(/is on node1 already/));
  else await answer;
});

it.each(commands.filter((command) => ELSEWHERE[command] === 'terminal'))('%s', async (command) => {
  const terminal = godwit.at(command.split(' ').slice(1));
  await terminal.shows('nodes up');
  terminal.type('q');
  expect(await terminal.ended).toBe(0);
});
