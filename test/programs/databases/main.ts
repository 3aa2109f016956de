/**
 * `npm run test:databases`: databases as jobs, moved from node to node while their processes write; each then judges
 * itself, and every row of which a writer was told must be there. What Debian's packages bring is installed.
 */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DATABASES, type Database, moved } from '../../support/databases';
import { Godwit } from '../../support/godwit';
import { run } from '../../support/processes';

const LAB = `databases-${process.pid}`;
const INSTALL_MS = 1_800_000;
const ROUND = ['node2', 'node3', 'node1'];

const USAGE = `npm run test:databases -- [NAME…] [--runs N] [--moves N] [--lines N]
  NAME         of one that runs, or how the names of several begin (all): ${DATABASES.map(({ name }) => name).join(' ')}
  --runs N     how often each runs (1)
  --moves N    how many moves a run has (10)
  --lines N    what each writer commits between two moves, at least (5)
  --at-once N  so many runs at a time, on the same nodes (1)
`;

const say = (line: string) => process.stdout.write(`${line}\n`);

async function install(databases: Database[]): Promise<void> {
  const missing: string[] = [];
  for (const { isHere, packages } of databases) if (!(await isHere())) missing.push(...packages);
  if (missing.length === 0) return;
  say(`installing ${[...new Set(missing)].join(' ')}`);
  // Nothing of the machine's own is to start with the package.
  const env = { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  for (const words of [['update'], ['install', '-y', '--no-install-recommends', ...new Set(missing)]]) {
    const { status, stderr } = await run(['apt-get', '-qq', ...words], { env, limitMs: INSTALL_MS });
    if (status !== 0) throw new Error(`apt-get could not: ${stderr.trim().split('\n').at(-1)}`);
  }
}

/** @throws Error that names what is none */
function chosen(names: string[]): Database[] {
  if (names.length === 0) return [...DATABASES];
  const all = names.flatMap((one) => {
    const exact = DATABASES.filter(({ name }) => name === one);
    const some = exact.length > 0 ? exact : DATABASES.filter(({ name }) => name.startsWith(one));
    if (some.length === 0) throw new Error(`there is no ${one}\n${USAGE}`);
    return some;
  });
  return [...new Set(all)];
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      runs: { type: 'string', default: '1' },
      moves: { type: 'string', default: '10' },
      lines: { type: 'string', default: '5' },
      'at-once': { type: 'string', default: '1' },
    },
  });
  const [runs, moves, lines] = [values.runs, values.moves, values.lines].map(Number) as [
    number,
    number,
    number,
  ];
  const databases = chosen(positionals);
  await install(databases);
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'godwit-databases-')));
  // Servers that are not root's work in there.
  await run(['chmod', '755', folder]);
  const nodes = Array.from({ length: moves }, (_, at) => ROUND[at % ROUND.length]!);
  let passed = 0;
  let failed = 0;
  try {
    const godwit = await Godwit.labUp(LAB, { temp: folder });
    const trials = Array.from({ length: runs }, (_, at) =>
      databases.map((database) => ({ database, at: at + 1 })),
    ).flat();
    // Asked to end, it ends with the runs under way; asked again, at once.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => trials.splice(0));
    const worker = async () => {
      for (let trial = trials.shift(); trial; trial = trials.shift()) {
        const { database, at } = trial;
        const place = join(folder, `${database.name}-${at}`);
        const wrong = await moved(godwit, database, { folder: place, nodes, lines });
        if (wrong) failed++;
        else passed++;
        const what = `${database.name}, run ${at} of ${runs}`;
        say(wrong ? `failed: ${what}: ${wrong}` : `passed: ${what}`);
        rmSync(place, { recursive: true });
      }
    };
    await Promise.all(Array.from({ length: Number(values['at-once']) }, worker));
  } finally {
    await Godwit.labDown(LAB);
    rmSync(folder, { recursive: true, force: true });
  }
  say(`${passed} passed, ${failed} failed`);
  return passed === runs * databases.length ? 0 : 1;
}

main().then(
  (status) => {
    process.exitCode = status;
  },
  (error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  },
);
