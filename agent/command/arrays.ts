/** Verbs on an array: what each does to its jobs, and says of them. */
import type { FoundArray } from '../api/array';
import { asGodwitError, GodwitError } from '../api/errors';
import type { Exit } from '../api/model';
import { type Agent, ask, askThroughRestarts } from '../client/agent';
import { each, findArray, type Outcome, oneOrAll, type Part } from '../client/arrays';
import { copyConsole, followConsole } from '../client/console';
import { Labelled } from '../client/labelled';
import { complain, write } from './output';

/**
 * Followed at once: each is two connections, of which a user has 1,024, and streams that are asked for and not open yet
 * are 128.
 */
export const MOST_FOLLOWED = 100;
/** Named in one line. */
const MOST_NAMED = 4;

/** What a verb does to one job, or to all of an array's. */
export const jobOrArray = <T>(
  socket: string,
  job: string,
  one: () => Promise<T>,
  all: (array: FoundArray) => Promise<T>,
): Promise<T> => oneOrAll(() => ask(socket, (agent) => findArray(agent, job)), one, all);

/** Those on which a verb does something; where there are none the array is over. @throws `job-ended` */
export function living({ name, jobs }: FoundArray): Part[] {
  const all = jobs.filter(({ stage }) => stage !== 'over');
  if (all.length > 0) return all;
  throw new GodwitError({
    code: 'job-ended',
    message: `all jobs of array ${name} have ended`,
    fix: 'see `godwit ps -a` for how',
  });
}

/**
 * `work` on jobs of an array. What is refused for some of them is said in one line each on stderr; where it was for all,
 * it is thrown. @param passed codes that mean that there is nothing left to do
 */
export async function onEach<T>(
  socket: string,
  jobs: readonly Part[],
  work: (agent: Agent, job: Part) => Promise<T>,
  { passed = [], atOnce }: { passed?: readonly string[]; atOnce?: number } = {},
): Promise<{ done: { job: Part; ok: T }[]; failed: Outcome<T>[] }> {
  const outcomes = await ask(socket, (agent) => each(jobs, (job) => work(agent, job), atOnce));
  const done = outcomes.flatMap(({ job, result }) => ('ok' in result ? [{ job, ok: result.ok }] : []));
  const failed = outcomes.filter(({ result }) => 'error' in result && !passed.includes(result.error.code));
  for (const { job, result } of failed.slice(0, MOST_NAMED))
    if ('error' in result) complain(`${job.name}: ${result.error.toLine()}`);
  if (failed.length > MOST_NAMED) complain(`and ${failed.length - MOST_NAMED} more jobs of the array`);
  return { done, failed };
}

/** All that its jobs have printed so far, one after the other, each line with its job's index. */
export async function copyConsoles(
  socket: string,
  { jobs, count }: FoundArray,
  cut: (job: Part, bytes: number) => void,
): Promise<void> {
  for (const job of jobs) {
    const lines = new Labelled(job.index, count, write);
    await copyConsole(socket, job.id, lines.write, { cut: (bytes) => cut(job, bytes) });
    await lines.end();
  }
}

/** What they print, as they do, until all have ended. @throws `too-many-followed` */
export async function followConsoles(
  socket: string,
  { jobs, count, name }: Pick<FoundArray, 'count' | 'name'> & { jobs: readonly Pick<Part, 'id' | 'index'>[] },
  cut: (job: Pick<Part, 'id'>, bytes: number) => void,
): Promise<void> {
  if (jobs.length > MOST_FOLLOWED) throw tooManyFollowed(name, jobs.length);
  const follow = async (job: Pick<Part, 'id' | 'index'>) => {
    const lines = new Labelled(job.index, count, write);
    const part = { cut: (bytes: number) => cut(job, bytes) };
    await followConsole(socket, job.id, lines.write, { accepted: true }, part);
    await lines.end();
  };
  const ended = await Promise.allSettled(jobs.map(follow));
  const failed = ended.find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
}

export const tooManyFollowed = (name: string, count: number) =>
  new GodwitError({
    code: 'too-many-followed',
    message: `array ${name} has ${count} jobs, and the output of ${MOST_FOLLOWED} can be followed at once`,
    fix: 'run it with --detach; see `godwit logs` for each of its jobs, and `godwit wait` for all',
  });

/** What is answered of a job that has no end to tell of: for an array it has failed. */
const NO_END: ReadonlySet<string> = new Set(['job-lost', 'job-adopted', 'no-such-job']);

export type Ended = Exit & { id: string };

/** How each has ended, when all have. */
export async function waitForAll(socket: string, jobs: readonly Pick<Part, 'id'>[]): Promise<Ended[]> {
  const ended: Ended[] = [];
  // One after the other: who has waited for the last has waited for all, and a user has a bound of calls.
  for (const { id } of jobs) {
    const waited = askThroughRestarts(
      socket,
      (agent) => agent.call('jobs.wait', { job: id }, { timeoutMs: Number.POSITIVE_INFINITY }),
      { accepted: true },
    );
    ended.push(
      await waited.catch((error) => {
        const why = asGodwitError(error);
        if (!NO_END.has(why.code)) throw why;
        complain(why.toLine());
        return { id, exit: 1, signal: null, reason: why.message };
      }),
    );
  }
  return ended;
}

/** The highest status of all, as `srun` has it: 0 only where all have ended with 0. */
export const worst = (ended: readonly Ended[]): Ended =>
  ended.reduce((one, other) => (other.exit > one.exit ? other : one));
