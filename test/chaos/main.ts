/** `npm run chaos`: every fault at every step of a move, then moves with any fault anywhere, in a lab of its own. */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { Chaos, POINTS, type Result, randomBlow, randomFrom } from '../support/chaos';
import { FaultLab } from '../support/fault-lab';
import { FAULTS, type Fault, LONG_FAULTS } from '../support/faults';

/** A job's output is read anew after each move: it is not let grow for ever. */
const MOVES_A_JOB = 25;
/** So many of the jobs are moved while the cluster moves others by itself. */
const BALANCED = 1 / 3;

const USAGE = `npm run chaos -- [--moves N] [--seed S] [--only TEXT] [--table no]
  --moves N   how many random moves follow the table (100)
  --seed S    which ones (by default any, printed)
  --only T    of the table, the rows and columns whose names contain T
  --table no  no table, only the random moves
  --debugger only   no table of jobs without one
  --times N   the table so many times (1)
  --long no   no links that are down for longer than agents wait
`;

const MARKS = { good: '+', excepted: 'e', undebugged: 'd', none: '.' } as const;
const mark = (result: Result) => (typeof result === 'object' ? 'X' : MARKS[result]);

const { values: options } = parseArgs({
  options: {
    moves: { type: 'string', default: '100' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    debugger: { type: 'string', default: 'both' },
    times: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    table: { type: 'string', default: 'yes' },
    long: { type: 'string', default: 'yes' },
    help: { type: 'boolean', default: false },
  },
});

const say = (line: string) => console.log(line);
const wrongs: string[] = [];
/** Asked to end: the move under way is seen through, and what was found is told. Asked again, it is not waited for. */
let stopping = false;
const hurry = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    if (stopping) return hurry.abort();
    stopping = true;
    say('    ending when the move under way is over; once more ends it at once');
  });

async function hurried(): Promise<never> {
  await once(hurry.signal, 'abort');
  throw new Error('ended at once, without a count');
}

async function finish(chaos: Chaos): Promise<void> {
  const wrong = await chaos.finish();
  if (wrong) wrongs.push(`at a job's end: ${wrong}`);
}

async function table(chaos: Chaos, debugged: boolean): Promise<void> {
  const faults = options.long === 'yes' ? [...FAULTS, ...LONG_FAULTS] : FAULTS;
  const cast = { home: 'node1', source: 'node2', destination: 'node3' };
  say(
    `\nUnder ${debugged ? 'a' : 'no'} debugger; + goes on, d without its debugger, e lost by an exception, X wrong, . nothing to break there`,
  );
  for (const [index, fault] of faults.entries()) say(`  ${String(index + 1).padStart(2)}  ${fault.name}`);
  say(`${' '.repeat(30)}${faults.map((_, index) => String(index + 1).padStart(3)).join('')}`);
  let count = 0;
  for (const point of POINTS) {
    if (stopping) break;
    const row: Result[] = [];
    for (const fault of faults) {
      if (stopping || !`${point} ${fault.name}`.includes(options.only)) {
        row.push('none');
        continue;
      }
      row.push(await chaos.strike({ at: point, fault, cast, debugged }));
      if (++count % MOVES_A_JOB === 0) await finish(chaos);
    }
    note(row, point, faults);
    say(`${point.padEnd(30)}${row.map((result) => mark(result).padStart(3)).join('')}`);
  }
  await finish(chaos);
}

function note(row: Result[], point: string, faults: Fault[]): void {
  for (const [index, result] of row.entries())
    if (typeof result === 'object') wrongs.push(`${point}, ${faults[index]?.name}: ${result.wrong}`);
}

async function random(chaos: Chaos, lab: FaultLab, moves: number, seed: number): Promise<void> {
  say(`\n${moves} moves with any fault anywhere, seed ${seed}`);
  const next = randomFrom(seed);
  const pick = () => lab.nodes[Math.floor(next() * lab.nodes.length)]!;
  let job = { home: pick(), source: pick(), debugged: false };
  for (let move = 0; move < moves && !stopping; move++) {
    if (move % MOVES_A_JOB === 0) {
      await finish(chaos);
      job = { home: pick(), source: pick(), debugged: next() < 0.5 };
      if (next() < BALANCED) await chaos.balances(job.home);
    }
    const blow = randomBlow(next, FAULTS, lab.nodes, job);
    const result = await chaos.strike(blow);
    const where = typeof blow.at === 'number' ? `after ${blow.at} ms` : blow.at;
    if (typeof result === 'object')
      wrongs.push(`move ${move}, ${where}, ${blow.fault.name}: ${result.wrong}`);
    job.source = blow.cast.destination;
  }
  await finish(chaos);
}

async function main(): Promise<void> {
  if (options.help) return say(USAGE);
  const moves = Number(options.moves);
  const seed = Number(options.seed);
  if (!Number.isInteger(moves) || moves < 0 || !Number.isInteger(seed)) throw new Error(USAGE);
  const lab = await FaultLab.up(process.env.GODWIT_LAB ?? `chaos${process.pid}`);
  const chaos = new Chaos(lab, (line) => say(`    ${line}`));
  const walk = async () => {
    for (let time = 0; time < Number(options.times); time++)
      if (options.table === 'yes')
        for (const debugged of options.debugger === 'only' ? [true] : [false, true])
          await table(chaos, debugged);
    if (moves > 0) await random(chaos, lab, moves, seed);
  };
  try {
    await Promise.race([walk(), hurried()]);
  } finally {
    chaos.drop();
    await lab.down();
  }
  say(
    `\n${Object.entries(chaos.totals)
      .map(([word, count]) => `${word} ${count}`)
      .join(', ')}`,
  );
  for (const wrong of wrongs) say(`WRONG: ${wrong}`);
  if (stopping) say('ended before its time');
  if (stopping || wrongs.length > 0) process.exitCode = 1;
}

main().catch((error: Error) => {
  console.error(error.message);
  // What was not waited for may still be at it.
  process.exit(1);
});
