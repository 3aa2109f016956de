/**
 * `npm run test:programs`: programs in languages whose packages are large, moved round a lab. What is missing is
 * installed by apt where that is the machine's way; a language that can't be had is said to be skipped, and the exit
 * status is 2 then: not all has been tried.
 */
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { labFolder } from '../../../agent/lab/description';
import { inPath } from '../../../agent/machine/criu/criu';
import { Godwit } from '../../support/godwit';
import { run } from '../../support/processes';
import { inProject } from '../../support/project';
import { goRounds, roundsOf } from '../../support/rounds';

const LAB = `programs-${process.pid}`;
const ROUND = ['node2', 'node3', 'node1'];
/** Hundreds of megabytes over a slow line. */
const INSTALL_MS = 1_800_000;
const BUILD_MS = 600_000;

interface Language {
  name: string;
  /** Debian's package. */
  from: string;
  /** Is it here? */
  isHere: () => Promise<boolean>;
  /** Makes the program from its source; how it is started. */
  build: (source: (name: string) => string, folder: string) => { make?: string[]; start: string[] };
}

const has = (program: string) => async () => (await inPath(program)) !== null;

const LANGUAGES: Language[] = [
  {
    name: 'Python with NumPy',
    from: 'python3-numpy',
    isHere: async () => (await run(['/usr/bin/python3', '-c', 'import numpy'])).status === 0,
    build: (source) => ({ start: ['/usr/bin/python3', source('walk.py')] }),
  },
  {
    name: 'Go',
    from: 'golang-go',
    isHere: has('go'),
    build: (source, folder) => ({
      make: ['go', 'build', '-o', join(folder, 'go-walk'), source('walk.go')],
      start: [join(folder, 'go-walk')],
    }),
  },
  {
    name: 'Java',
    from: 'default-jdk-headless',
    isHere: has('javac'),
    build: (source, folder) => ({
      make: ['javac', '-d', folder, source('Walk.java')],
      start: ['java', '-cp', folder, 'Walk'],
    }),
  },
  {
    name: 'Rust',
    from: 'rustc',
    isHere: has('rustc'),
    build: (source, folder) => ({
      make: ['rustc', '-O', '-o', join(folder, 'rust-walk'), source('walk.rs')],
      start: [join(folder, 'rust-walk')],
    }),
  },
];

const say = (line: string) => process.stdout.write(`${line}\n`);

/** The languages that are here in the end. */
async function installed(): Promise<Language[]> {
  const missing: Language[] = [];
  for (const language of LANGUAGES) if (!(await language.isHere())) missing.push(language);
  if (missing.length > 0 && (await inPath('apt-get'))) {
    const packages = missing.map(({ from }) => from);
    say(`installing ${packages.join(' ')}`);
    const env = { DEBIAN_FRONTEND: 'noninteractive' };
    const install = ['apt-get', '-qq', 'install', '-y', '--no-install-recommends', ...packages];
    const { status, stderr } = await run(install, { env, limitMs: INSTALL_MS });
    if (status !== 0) say(`apt-get could not: ${stderr.trim().split('\n').at(-1)}`);
  }
  const here: Language[] = [];
  for (const language of LANGUAGES)
    if (await language.isHere()) here.push(language);
    else say(`skipped: ${language.name}: Debian's package ${language.from} is not here`);
  return here;
}

async function main(): Promise<number> {
  const languages = await installed();
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'godwit-programs-')));
  const source = (name: string) => inProject('test', 'programs', 'languages', name);
  try {
    const place = join(folder, 'rounds');
    const kinds = [];
    for (const { name, build } of languages) {
      const { make, start } = build(source, folder);
      const env = { GOCACHE: join(folder, 'go-cache'), GO111MODULE: 'off' };
      const made = make ? await run(make, { env, limitMs: BUILD_MS }) : { status: 0, stderr: '' };
      if (made.status !== 0) throw new Error(`the program in ${name} can't be built: ${made.stderr}`);
      kinds.push({
        ...roundsOf('', place, ROUND.length),
        what: name,
        argv: [...start, place, `${ROUND.length}`],
      });
    }
    mkdirSync(place);
    const godwit = await Godwit.labUp(LAB, { temp: folder });
    const consoleOf = (job: string) => join(labFolder(LAB), 'node1', 'jobs', job, 'console');
    const outcomes = await goRounds(godwit, { kinds, nodes: ROUND, folder: place, consoleOf });
    for (const { what, problem } of outcomes)
      say(`${problem ? 'failed' : 'passed'}: ${what}${problem ? `: ${problem}` : ''}`);
    if (outcomes.some(({ problem }) => problem)) return 1;
    return languages.length < LANGUAGES.length ? 2 : 0;
  } finally {
    await Godwit.labDown(LAB);
    rmSync(folder, { recursive: true, force: true });
  }
}

main().then(
  (status) => {
    process.exitCode = status;
  },
  (error: Error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exitCode = 1;
  },
);
