/**
 * What others may send to the C programs, fed to them under sanitisers. Each target stops at N requests or after S seconds, whichever
 * is first. What inputs were found to be of interest is kept in /var/lib/godwit/fuzz, where the next run goes on.
 */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, cpSync, createWriteStream, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { inProject } from '../support/project';
import { compileCommand, TARGETS, type Target } from './targets';

const STATE = '/var/lib/godwit/fuzz';
/** A look at each: the whole takes a minute or two. */
const USUAL_SECONDS = 10;
/** No input takes a millisecond; one that takes this long on a busy machine hangs. */
const HANG_SECONDS = 60;
/** Many times what a target uses: it grows without end. */
const MOST_MEMORY_MB = 1024;
/** Room for some ten requests, or for a frame of the wire. */
const MOST_BYTES = 4096;
/** Of the log, when something was found. */
const LINES_SHOWN = 60;

interface Bounds {
  requests?: string | undefined;
  seconds: number;
}

interface TargetFolders {
  program: string;
  /** Inputs found so far; the fuzzer gives its rights up and must be able to write there. */
  inputs: string;
  log: string;
  findings: string;
}

function foldersOf({ name }: Target): TargetFolders {
  const folder = join(STATE, name);
  const folders = { inputs: join(folder, 'inputs'), findings: join(folder, 'findings') };
  for (const one of Object.values(folders)) {
    mkdirSync(one, { recursive: true });
    chmodSync(one, 0o1777);
  }
  return { ...folders, log: join(folder, 'log'), program: join(STATE, 'programs', name) };
}

function command(
  { under }: Target,
  { program, inputs, findings }: TargetFolders,
  { seconds }: Bounds,
): string[] {
  // ThreadSanitizer knows only some places where a program may lie in memory.
  if (under === 'thread') return ['setarch', '-R', program, `${seconds || 2 ** 31 - 1}`, inputs];
  const bounds = {
    max_total_time: seconds,
    timeout: HANG_SECONDS,
    rss_limit_mb: MOST_MEMORY_MB,
    max_len: MOST_BYTES,
    artifact_prefix: `${findings}/`,
  };
  return [program, ...Object.entries(bounds).map(([name, value]) => `-${name}=${value}`), inputs];
}

/** Runs one target to its bounds; false if something was found. */
async function fuzz(target: Target, bounds: Bounds): Promise<boolean> {
  const folders = foldersOf(target);
  mkdirSync(join(STATE, 'programs'), { recursive: true });
  const [compiler, ...args] = compileCommand(target, join(STATE, 'programs'));
  execFileSync(compiler!, args, { stdio: 'inherit' });
  cpSync(inProject('test/fuzz/corpus', target.corpus), folders.inputs, { recursive: true });
  const [program, ...options] = command(target, folders, bounds);
  const log = createWriteStream(folders.log);
  const limits = bounds.requests ? { FUZZ_REQUESTS: bounds.requests } : {};
  const env = { ...process.env, ...limits, TSAN_OPTIONS: 'halt_on_error=1' };
  const child = spawn(program!, options, { cwd: '/', env, stdio: ['ignore', 'ignore', 'pipe'] });
  child.stderr.pipe(log);
  const status = await new Promise((resolve) => child.once('close', resolve));
  await finished(log);
  const said = readFileSync(folders.log, 'utf8');
  const requests = [...said.matchAll(/^requests: (\d+)$/gm)].at(-1)?.[1] ?? '0';
  const good = status === 0;
  console.log(`${target.name}: ${requests} requests, ${good ? 0 : 1} findings`);
  if (!good) reportFinding(folders, said);
  return good;
}

function reportFinding({ findings, log }: TargetFolders, said: string): void {
  console.log(said.split('\n').slice(-LINES_SHOWN).join('\n'));
  const files = readdirSync(findings).map((file) => join(findings, file));
  console.log(`its log: ${log}; inputs that lead to it: ${files.join(' ') || 'in the log'}`);
}

/** `[TARGET…] [--requests N] [--seconds S]`; the process ends with 1 if anything is a finding. */
export async function fuzzPrograms(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { requests: { type: 'string' }, seconds: { type: 'string' } },
  });
  const unknown = positionals.filter((name) => !TARGETS.some((target) => target.name === name));
  const numbers = [values.requests, values.seconds].every((text) => text === undefined || /^\d+$/.test(text));
  if (unknown.length > 0 || !numbers) {
    console.error(
      `usage: npm run fuzz -- [sockets|${TARGETS.map(({ name }) => name).join('|')}…] [--requests N] [--seconds S]`,
    );
    process.exit(2);
  }
  const chosen = TARGETS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  // Without a limit of time there is one of requests.
  const seconds = Number(values.seconds ?? (values.requests ? 0 : USUAL_SECONDS));
  let good = true;
  for (const target of chosen) good = (await fuzz(target, { requests: values.requests, seconds })) && good;
  process.exit(good ? 0 : 1);
}
