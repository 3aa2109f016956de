/** Many jobs of one request: an array. It is launched whole or not at all. */
import type { ClientContract } from '../../api/client-contract';
import type { Result } from '../../api/contract';
import { asGodwitError, GodwitError } from '../../api/errors';
import type { Address, JobSpec, LaunchRequest, User } from '../../api/model';
import { retryUntilDone } from '../../api/retry';
import { cut } from '../../api/text';
import type { Log } from '../../log';
import type { Peers } from '../cluster/peers';
import type { HomedJob, Journal, NewJob } from '../journal/journal';
import type { Addresses } from './addresses';
import { type Home, nameOf, newId } from './home';

/** Each launch is some processes and mounts: more at once only wait for each other. */
const LAUNCHED_AT_ONCE = 8;
/** What a program that gets SIGKILL takes to end, on a busy node. */
const ENDS_WITHIN_MS = 30_000;
/** A host of a job that is taken back is asked again after these pauses, if an earlier agent has left it behind. */
const PAUSES = { firstMs: 200, mostMs: 30_000 };
/** A part's name is `NAME.INDEX`, which must fit where names are checked (`Shown`). */
const NAME_KEPT = 190;
/** Named in an error. */
const MOST_NAMED = 5;

export type LaunchedArray = Result<ClientContract, 'jobs.runArray'>;

export interface ArraysParts {
  node: string;
  home: Pick<Home, 'specOf' | 'newJob' | 'begin' | 'unlaunch' | 'wait'>;
  journal: Journal;
  addresses: Pick<Addresses, 'with'>;
  peers: Pick<Peers, 'call'>;
  log: Log;
}

export class Arrays {
  constructor(private readonly parts: ArraysParts) {}

  /** @param hosts one for each job @throws `array-not-launched`, and what keeps any job from being launched */
  run(
    request: LaunchRequest,
    user: User,
    hosts: readonly string[],
    allocation: string | null,
  ): Promise<LaunchedArray> {
    const { home, journal } = this.parts;
    const base = home.specOf(request, user, allocation);
    return this.withJobs(base, request.address, hosts, async (jobs) => {
      const { array } = jobs[0]!.spec;
      const launched = await journal.launchArray(array!.id, jobs);
      await this.#launchAll(launched, jobs);
      await journal.arraySettled(array!.id);
      const all = await Promise.all(launched.map(({ id }) => journal.job(id)));
      return { id: array!.id, name: array!.name, jobs: all.map((job) => this.shown(job)) };
    });
  }

  /** `work` with the jobs of an array of this spec, each with an address of its own if one was asked for. */
  async withJobs<T>(
    base: JobSpec,
    address: string | undefined,
    hosts: readonly string[],
    work: (jobs: NewJob[]) => Promise<T>,
  ): Promise<T> {
    const array = { id: newId(), name: cut(base.name ?? nameOf(base), NAME_KEPT), count: hosts.length };
    const made = (addresses: readonly (Address | null)[]) =>
      hosts.map((host, index) => {
        const part = { ...array, index };
        const own = { name: `${array.name}.${index}`, address: addresses[index] ?? null, array: part };
        return this.parts.home.newJob(ofPart({ ...base, ...own }), host);
      });
    return this.#withAddresses(address, hosts.length, [], (addresses) => work(made(addresses)));
  }

  /** What is told of a job that was launched, or queued. */
  shown({ id, name, ledger, pid }: HomedJob): LaunchedArray['jobs'][number] {
    return { id, name, home: this.parts.node, node: ledger.host, pid: pid ?? 0 };
  }

  /** Arrays that an agent was launching when it ended: they are taken back, as if a job had not been launched. */
  async takeBackUnsettled(): Promise<void> {
    const { journal, log } = this.parts;
    await Promise.all(
      (await journal.unsettledArrays()).map((id) =>
        retryUntilDone(
          () => this.#takeBackUnsettled(id),
          (error) => log(`array ${id} is not wholly taken back yet: ${asGodwitError(error).message}`),
          PAUSES,
        ),
      ),
    );
  }

  async #takeBackUnsettled(id: string): Promise<void> {
    const { journal, log } = this.parts;
    const [array] = await journal.findArrays(id, 1);
    const left = await this.#endAll(array?.jobs ?? []);
    if (left.length > 0) throw left[0]!.why;
    const unknown = array?.jobs.find(({ state }) => state === 'starting');
    if (unknown) throw new Error(`${unknown.ledger.host} has not said whether job ${unknown.id} runs there`);
    log(`array ${id} is taken back: the agent ended while it was launching it`);
    await journal.arraySettled(id);
  }

  async #withAddresses<T>(
    asked: string | undefined,
    count: number,
    given: readonly (Address | null)[],
    work: (addresses: readonly (Address | null)[]) => Promise<T>,
  ): Promise<T> {
    if (asked === undefined || given.length === count) return work(given);
    return this.parts.addresses.with(asked, (address) =>
      this.#withAddresses(asked, count, [...given, address], work),
    );
  }

  /** @throws `array-not-launched`: what had been launched has ended by then, or is named */
  async #launchAll(launched: readonly HomedJob[], jobs: readonly NewJob[]): Promise<void> {
    const { home, journal } = this.parts;
    const begun: HomedJob[] = [];
    let failure: { job: HomedJob; why: GodwitError } | null = null;
    const waiting = launched.map((job, index) => ({ job, spec: jobs[index]!.spec }));
    const launchSome = async () => {
      for (let next = waiting.shift(); next && !failure; next = waiting.shift()) {
        const { job, spec } = next;
        try {
          await home.begin(job, spec);
          begun.push(job);
        } catch (error) {
          failure ??= { job, why: asGodwitError(error) };
          await home.unlaunch(job, failure.why);
        }
      }
    };
    await Promise.all(Array.from({ length: LAUNCHED_AT_ONCE }, launchSome));
    if (!failure) return;
    const { job, why } = failure as { job: HomedJob; why: GodwitError };
    // Those that were taken off the list and not begun are `starting` still.
    for (const one of launched) await journal.unlaunched(one.id);
    const left = await this.#endAll(begun);
    if (left.length === 0) await journal.arraySettled(job.spec.array!.id);
    throw notLaunched(job, why, left);
  }

  /** @returns those that may not have ended, and why */
  async #endAll(jobs: readonly HomedJob[]): Promise<{ job: HomedJob; why: GodwitError }[]> {
    const { journal, home, peers } = this.parts;
    const left = await Promise.all(
      jobs.map(async (job) => {
        try {
          const { ledger, state } = await journal.job(job.id);
          if (state !== 'running') return null;
          await peers.call(ledger.host, 'host.kill', { job: job.id, signal: 'SIGKILL' });
          await home.wait(job.id, AbortSignal.timeout(ENDS_WITHIN_MS));
          return null;
        } catch (error) {
          const why = asGodwitError(error);
          return why.code === 'job-ended' ? null : { job, why };
        }
      }),
    );
    return left.filter((one) => one !== null);
  }
}

/** A job's own part of what all of its array are launched with. */
export function ofPart(spec: JobSpec): JobSpec {
  const { array } = spec;
  if (!array) return spec;
  const numbers = { GODWIT_INDEX: `${array.index}`, GODWIT_COUNT: `${array.count}` };
  return { ...spec, env: { ...spec.env, ...numbers } };
}

function notLaunched(
  { spec: { array } }: HomedJob,
  { message, fix }: GodwitError,
  left: readonly { job: HomedJob; why: GodwitError }[],
): GodwitError {
  const named = left.slice(0, MOST_NAMED).map(({ job, why }) => `${job.id} (${why.message})`);
  const rest = left.length > 0 ? `; ${left.length} that had begun may still run: ${named.join(', ')}` : '';
  return new GodwitError({
    code: 'array-not-launched',
    message: `array ${array!.name} is not launched, as its job ${array!.index} can't be: ${message}${rest}`,
    fix,
  });
}
