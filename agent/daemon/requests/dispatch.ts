/** A client's question about a job finds the job's home, which answers it. */
import type { FoundArray, HomedArray } from '../../api/array';
import type { ClientContract } from '../../api/client-contract';
import type { Caller, Params, Result } from '../../api/contract';
import { GodwitError, isArray, noSuchJob } from '../../api/errors';
import { fitting } from '../../api/lists';
import type { Job } from '../../api/model';
import type { Scope } from '../allocations/scopes';
import type { Peers } from '../cluster/peers';
import type { Home } from '../jobs/home';
import { joinedArrays, resolveArray, resolveJob } from '../jobs/reference';
import type { AboutOne, OwnJobs } from './own-jobs';
import { type Page, pageOfAll } from './pages';

/** A node that does not answer must not make everybody wait. */
export const SOON = { timeoutMs: 3_000 };

/** Who asks: they are told of the jobs that they see. */
type Asker = Pick<Caller, 'user' | 'connection'>;

export class Dispatch {
  constructor(
    private readonly parts: {
      node: string;
      home: Pick<Home, 'job'>;
      peers: Peers;
      ownJobs: Pick<OwnJobs, 'handlers'>;
      scopes: { of(caller: Asker): Pick<Scope, 'sees'> };
    },
  ) {}

  /** The job that is meant; its home knows one by its id without asking around. @throws `no-such-job`, `ambiguous-job` */
  async find(reference: string, asker: Asker): Promise<{ id: string; home: string }> {
    const { home, node, scopes } = this.parts;
    const homed = await home.job(reference).catch(() => null);
    if (!homed || homed.state === 'adopted') return this.seen(reference, asker);
    const { user, allocation } = homed.spec;
    if (!scopes.of(asker).sees({ user: user.name, allocation: allocation ?? undefined }))
      throw noSuchJob(reference);
    return { id: homed.id, home: node };
  }

  /** The same as those tell of it who answer. @throws `no-such-job`, `ambiguous-job`, `nodes-silent`, `is-array` */
  async seen(reference: string, asker: Asker): Promise<Job> {
    const [{ jobs, silent }, arrays] = await Promise.all([
      this.#jobs(reference, asker),
      this.#arrays(reference, asker),
    ]);
    const array = arrays.length > 0 ? resolveArray(reference, arrays, jobs) : null;
    if (array) throw isArray(array.name, array.count);
    // It may be one of theirs: a debugger that is attached to it is to wait.
    if (jobs.length === 0 && silent.length > 0) throw notFound(reference, silent);
    return resolveJob(reference, jobs);
  }

  /**
   * The array that is meant; null where that is one job, or nothing is.
   * @throws `ambiguous-job` where it could be several, or a job as well
   */
  async array(reference: string, asker: Asker): Promise<FoundArray | null> {
    if (await this.parts.home.job(reference).catch(() => null)) return null;
    const arrays = await this.#arrays(reference, asker);
    if (arrays.length === 0) return null;
    return resolveArray(reference, arrays, (await this.#jobs(reference, asker)).jobs);
  }

  /** Those that may be meant, each once; and who has not answered. */
  async #jobs(reference: string, asker: Asker): Promise<{ jobs: Job[]; silent: string[] }> {
    const { peers, scopes } = this.parts;
    const scope = scopes.of(asker);
    const asked = peers.names.map((name) =>
      this.#unlessSilent(name, peers.call(name, 'home.find', { job: reference }, SOON), null),
    );
    const answers = await Promise.all(asked);
    const jobs = answers.flatMap((answer) => answer?.jobs ?? []).filter((job) => scope.sees(job));
    return {
      jobs: eachOnce(jobs),
      silent: peers.names.filter((_, index) => answers[index] === null),
    };
  }

  /** Those that may be meant, as all homes have them that answer. */
  async #arrays(reference: string, asker: Asker): Promise<HomedArray[]> {
    const { peers, scopes } = this.parts;
    const scope = scopes.of(asker);
    const asked = peers.names.map((name) =>
      // An older agent has none.
      peers.call(name, 'home.arrays', { job: reference }, SOON).catch(() => ({ arrays: [] })),
    );
    const found = (await Promise.all(asked)).flatMap(({ arrays }) => arrays);
    return joinedArrays(
      found.filter(({ user, allocation }) => scope.sees({ user, allocation: allocation ?? undefined })),
    );
  }

  /** At the job's home the answer; elsewhere what the home answers. */
  async ask<M extends AboutOne>(
    method: M,
    params: Params<ClientContract, M>,
    caller: Caller,
  ): Promise<{ home: string; answer: Result<ClientContract, M> }> {
    const { node, ownJobs, peers } = this.parts;
    const { id, home } = await this.find(params.job, caller);
    const asked = { ...params, job: id };
    if (home === node) {
      const answer = await ownJobs.handlers[method](asked as never, caller);
      return { home, answer: answer as Result<ClientContract, M> };
    }
    const options = { signal: caller.signal, timeoutMs: Number.POSITIVE_INFINITY };
    const passed = { ...asked, as: caller.user ?? null };
    const answer = await peers.call(home, method, passed as never, options);
    return { home, answer: answer as Result<ClientContract, M> };
  }

  /** A page of what the homes have; of one that does not answer what is `known` of it. */
  list<T>(
    cursor: string | undefined,
    ask: (home: string, position: { after: number; bytes: number }) => Promise<Page<T, number>>,
    known: (home: string) => T[] = () => [],
  ) {
    return pageOfAll(this.parts.peers.names, cursor, (home, after, bytes) =>
      this.#unlessSilent(home, ask(home, { after, bytes }), {
        items: after === 0 ? fitting(known(home), bytes) : [],
        next: null,
      }),
    );
  }

  /** A failure of this node itself is reported. */
  #unlessSilent<T>(home: string, asked: Promise<T>, nothing: T): Promise<T> {
    return asked.catch((error: Error) => {
      if (home === this.parts.node) throw error;
      return nothing;
    });
  }
}

/** Of a job of which several nodes tell what its home says, else one of the others. */
function eachOnce(jobs: readonly Job[]): Job[] {
  const rank = ({ homeSilentMs }: Job) => Number(homeSilentMs !== undefined);
  const known = new Map<string, Job>();
  for (const job of jobs.toSorted((one, other) => rank(one) - rank(other)))
    if (!known.has(job.id)) known.set(job.id, job);
  return [...known.values()];
}

const notFound = (job: string, silent: readonly string[]) =>
  new GodwitError({
    code: 'nodes-silent',
    message: `no job "${job}" is known where an answer came from, and none came from ${silent.join(', ')}`,
    fix: 'see `godwit nodes`; it may be a job of theirs',
  });
