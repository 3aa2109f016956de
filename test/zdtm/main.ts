/**
 * `npm run test:zdtm -- DIR`: the tests of a built copy of CRIU's suite, each as a job that is moved to node2, to node3
 * and home. None of the suite is in this project.
 */
import { chmodSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { clientContract } from '../../agent/api/client-contract';
import { labFolder } from '../../agent/lab/description';
import { connectUnix } from '../../agent/wire/client';
import { Godwit } from '../support/godwit';
import { readSuite, type SuiteTest } from './suite';
import { isGood, lineOf, type Row, tableOf } from './table';
import { type Stage, tryTest } from './trial';

const ROUND = ['node2', 'node3', 'node1'];

const USAGE = `npm run test:zdtm -- DIR [PATTERN...] [--jobs N] [--limit SECONDS] [--address] [--list]
  DIR         CRIU's source, or its test/zdtm/static, in which
              \`make -C test/zdtm/lib && make -C test/zdtm/static -k\` has been run
  PATTERN     only tests whose whole names match one of these regular expressions
  --jobs N    so many at a time (2)
  --limit S   a test that takes longer than this to start, or to check itself, hangs (300)
  --address   each job has an address of its own
  --list      which tests there are
Exits with 0 if none was wrong and none refused too late.
`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    jobs: { type: 'string', default: '2' },
    limit: { type: 'string', default: '300' },
    address: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const say = (line: string) => console.log(line);

function chosen(): SuiteTest[] {
  const [folder, ...names] = positionals;
  if (!folder) throw new Error(USAGE);
  const patterns = names.map((name) => new RegExp(`^(?:${name})$`));
  const suites = [resolve(folder), join(resolve(folder), 'test', 'zdtm', 'static')];
  const tests = suites.flatMap((suite) => suiteIn(suite));
  const found = tests.filter(({ name }) => patterns.length === 0 || patterns.some((one) => one.test(name)));
  if (found.length === 0) throw new Error(`no such tests are built in ${folder}\n${USAGE}`);
  return found;
}

function suiteIn(folder: string): SuiteTest[] {
  try {
    return readSuite(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function tryAll(tests: SuiteTest[], stage: Stage, atATime: number): Promise<Row[]> {
  const queue = [...tests];
  const rows: Row[] = [];
  const worker = async () => {
    for (let test = queue.shift(); test && !stopping; test = queue.shift()) {
      const verdict = await tryTest(test, stage);
      rows.push({ name: test.name, verdict });
      say(
        `${String(rows.length).padStart(3)}/${tests.length} ${verdict.result.padEnd(8)} ${lineOf(rows.at(-1)!)}`,
      );
    }
  };
  await Promise.all(Array.from({ length: atATime }, worker));
  return rows;
}

/** Asked to end: the tests under way are seen through, and what was found is told. */
let stopping = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    stopping = true;
    say('ending when the tests under way are over');
  });

/** Two tests that want the same port are told so if they run side by side: alone they are not. */
const metAnother = ({ verdict }: Row) =>
  (verdict.result === 'refused' && verdict.codes.includes('port-taken')) ||
  (verdict.result === 'none' && /already in use/.test(verdict.why));

async function tryThem(tests: SuiteTest[], stage: Stage): Promise<Row[]> {
  const rows = await tryAll(tests, stage, Number(options.jobs));
  const again = rows.filter(metAnother).map(({ name }) => name);
  if (again.length === 0 || stopping) return rows;
  const alone = { ...stage, folder: join(stage.folder, 'alone') };
  const anew = await tryAll(
    tests.filter(({ name }) => again.includes(name)),
    alone,
    1,
  );
  return [...rows.filter((row) => !again.includes(row.name)), ...anew];
}

async function main(): Promise<void> {
  if (options.help) return say(USAGE);
  const tests = chosen();
  if (options.list) return say(tests.map(({ name }) => name).join('\n'));
  const numbers = [Number(options.jobs), Number(options.limit)];
  if (!numbers.every((number) => Number.isInteger(number) && number > 0)) throw new Error(USAGE);
  const lab = process.env.GODWIT_LAB ?? `zdtm${process.pid}`;
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'godwit-zdtm-')));
  chmodSync(folder, 0o755);
  await Godwit.labUp(lab, { nodes: 3, temp: folder });
  const node = join(labFolder(lab), 'node1');
  const agent = await connectUnix(join(node, 'agent.sock'), {
    name: 'zdtm',
    kind: 'client',
    contract: clientContract,
  });
  const consoleOf = (job: string) => join(node, 'jobs', job, 'console');
  const limitMs = 1000 * Number(options.limit);
  try {
    const stage = { agent, nodes: ROUND, folder, consoleOf, address: options.address, limitMs };
    const rows = await tryThem(tests, stage);
    say(tableOf(rows.sort((a, b) => a.name.localeCompare(b.name))));
    if (stopping) say('ended before its time');
    if (stopping || !isGood(rows)) process.exitCode = 1;
  } finally {
    agent.close();
    await Godwit.labDown(lab);
    rmSync(folder, { recursive: true, force: true });
  }
}

main().catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
