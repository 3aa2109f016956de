/** One test of the suite as a job: moved from node to node, then asked to check itself. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientContract } from '../../agent/api/client-contract';
import type { Remote } from '../../agent/api/contract';
import { asGodwitError } from '../../agent/api/errors';
import { DOCUMENTED } from './documented';
import { OUT_FILE, PID_FILE, type SuiteTest } from './suite';

export type Verdict =
  /** It found all as it was. */
  | { result: 'right' }
  /** It does not start as a job here, or finds things wrong without any move too. */
  | { result: 'none'; why: string }
  /** By name, before anything was frozen. */
  | { result: 'refused'; codes: string[]; why: string }
  /** A move failed that `why` had not stood in the way of. */
  | { result: 'late'; why: string }
  | { result: 'wrong'; why: string }
  /** It found changed what is said to change. */
  | { result: 'documented'; why: string };

/** Written by the job's shell into its console, and by us into the job's folder. */
const READY = 'ready';
const GO = 'go';

/**
 * Starts the test, which leaves a daemon; waits until it is told that the moves are over; asks the daemon to check
 * itself. The folder is its own: `$0` is the program.
 */
const SCRIPT = `
"$0" "$@" || exit 1
echo ${READY}
until [ -e ${GO} ]; do sleep 0.2; done
pid=$(cat ${PID_FILE}) && kill -TERM "$pid" || exit 2
while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
exit 0
`;

export interface Stage {
  agent: Remote<ClientContract>;
  nodes: readonly string[];
  /** In which each test gets a folder of its own. */
  folder: string;
  consoleOf: (job: string) => string;
  /** Each job has one of its own. */
  address: boolean;
  /** How long a test may take to start, or to check itself, before it is said to hang. */
  limitMs: number;
}

/** Tries a test; one that comes out wrong is tried again without a move: is it right then? */
export async function tryTest(test: SuiteTest, stage: Stage): Promise<Verdict> {
  const verdict = await run(test, stage, 'moved');
  if (verdict.result !== 'wrong') return verdict;
  const unmoved = await run(test, { ...stage, nodes: [] }, 'unmoved');
  if (unmoved.result !== 'right') return { result: 'none', why: `without a move: ${whyOf(unmoved)}` };
  const known = DOCUMENTED[test.name];
  return known?.finds.test(verdict.why) ? { result: 'documented', why: known.notice } : verdict;
}

const whyOf = (verdict: Verdict) => ('why' in verdict ? verdict.why : verdict.result);

async function run(test: SuiteTest, stage: Stage, kind: string): Promise<Verdict> {
  const { agent, limitMs } = stage;
  const place = join(stage.folder, kind, test.name);
  mkdirSync(place, { recursive: true });
  const args = ['-c', SCRIPT, test.program, ...test.args];
  const env = { PATH: process.env.PATH ?? '/usr/bin:/bin' };
  const launch = { program: '/bin/sh', args, cwd: place, env, node: 'home', stopped: false };
  const { id } = await agent.call('jobs.run', { ...launch, ...(stage.address ? { address: 'auto' } : {}) });
  try {
    const ended = agent.call('jobs.wait', { job: id }, { timeoutMs: Number.POSITIVE_INFINITY });
    ended.catch(() => {});
    if (!(await starts(stage, id, ended))) return { result: 'none', why: sayingOf(place, stage, id) };
    const stopped = await goRound(stage, id);
    if (stopped) return stopped;
    writeFileSync(join(place, GO), '');
    const over = await within(limitMs, ended);
    if (!over) return { result: 'wrong', why: 'it does not end' };
    return passed(place) ? { result: 'right' } : { result: 'wrong', why: sayingOf(place, stage, id) };
  } finally {
    await agent.call('jobs.kill', { job: id, signal: 'SIGKILL' }).catch(() => {});
  }
}

async function starts({ consoleOf, limitMs }: Stage, job: string, ended: Promise<unknown>): Promise<boolean> {
  let over = false;
  const end = () => {
    over = true;
  };
  ended.then(end, end);
  for (const late = Date.now() + limitMs; !over && Date.now() < late; await sleep(50))
    if (readFileSync(consoleOf(job), 'utf8').includes(`${READY}\n`)) return true;
  return false;
}

/** From node to node; what kept it from one, or null. */
async function goRound({ agent, nodes }: Stage, job: string): Promise<Verdict | null> {
  for (const node of nodes) {
    const { can, obstacles } = await agent.call('jobs.why', { job, node });
    if (!can)
      return {
        result: 'refused',
        codes: [...new Set(obstacles.map(({ code }) => code))],
        why: `to ${node}: ${obstacles[0]?.what}`,
      };
    try {
      await agent.call('jobs.migrate', { job, node, transfer: 'auto' }, { timeoutMs: 600_000 });
    } catch (error) {
      const { code, message } = asGodwitError(error);
      return { result: 'late', why: `to ${node}: ${code}: ${message}` };
    }
  }
  return null;
}

async function within<T>(limitMs: number, work: Promise<T>): Promise<boolean> {
  const over = new AbortController();
  const late = sleep(limitMs, false, { signal: over.signal }).catch(() => false);
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    over.abort();
  }
}

/** Its last word is in a file that gets its name when the test ends. */
const passed = (place: string) =>
  existsSync(join(place, OUT_FILE)) &&
  /(^|\n)[^\n]*PASS\s*$/.test(readFileSync(join(place, OUT_FILE), 'utf8'));

/** What it or the shell said last. */
function sayingOf(place: string, { consoleOf }: Stage, job: string): string {
  const files = [join(place, OUT_FILE), join(place, `${OUT_FILE}.inprogress`), consoleOf(job)];
  const said = files.filter(existsSync).flatMap((file) => readFileSync(file, 'utf8').trim().split('\n'));
  const telling =
    said.find((line) => /FAIL|ERR|SKIP/i.test(line)) ?? said.find((line) => line && line !== READY);
  return telling?.trim() ?? 'it says nothing';
}
