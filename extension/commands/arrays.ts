/** What is done to all jobs of an array. */
import { asGodwitError, GodwitError } from '../../agent/api/errors';
import type { Job } from '../../agent/api/model';
import { plain } from '../../agent/api/plain';
import { each, endingOrder, type Part } from '../../agent/client/arrays';
import type { Cluster } from '../cluster/cluster';
import { arrayFigures, isOver } from '../cluster/descriptions';
import { askForNode, snapshotOf } from '../prompts/places';
import { askToPick } from '../prompts/steps';
import { meantBy } from '../tree/model';
import { ask, during, tell } from '../window';

/** One that has jobs which run or wait. */
interface LivingArray {
  id: string;
  name: string;
  jobs: Job[];
}

export class Arrays {
  constructor(private readonly cluster: Cluster) {}

  /** Resolves with how many got the signal; undefined when the person gave it up. */
  async end(given: unknown, confirmed: unknown): Promise<number | undefined> {
    const array = await this.#array(given, 'End Array', 'The array to end');
    if (!array) return undefined;
    const end = 'End All';
    const detail = `${arrayFigures(array.jobs)}. Those that run get SIGTERM; those that are queued do not begin.`;
    if (confirmed !== true && (await ask('warning', `End all of ${array.name}?`, detail, end)) !== end)
      return undefined;
    return this.#onAll(endingOrder(partsOf(array)), ({ id }) =>
      this.cluster.call('jobs.kill', { job: id, signal: 'SIGTERM' }),
    );
  }

  /** Resolves with how many have moved. Those that are there stay, and those that are queued wait on. */
  async migrate(given: unknown, to: unknown): Promise<number | undefined> {
    const array = await this.#array(given, 'Migrate Array', 'The array to move');
    if (!array) return undefined;
    const { name, jobs } = array;
    const node =
      typeof to === 'string'
        ? to
        : await askForNode(this.cluster, {
            title: `Migrate ${name}`,
            placeholder: `${arrayFigures(jobs)}; where shall those go that run?`,
            home: jobs[0]!.home,
          });
    if (typeof node !== 'string') return undefined;
    const running = partsOf(array).filter(({ stage }) => stage === 'living');
    const moved = await during(`Moving ${name} to ${node}`, (say) => {
      let done = 0;
      const move = async ({ id, name: one }: Part) => {
        say(`${one}, ${++done} of ${running.length}`);
        const params = { job: id, node, transfer: 'auto' } as const;
        await this.cluster.call('jobs.migrate', params, { timeoutMs: Number.POSITIVE_INFINITY });
      };
      return this.#onAll(running, move, 1);
    });
    void tell('information', `${moved} of the jobs of ${name} moved to ${node}.`);
    return moved;
  }

  /** Resolves with how many are pinned, or are not any more. */
  async pin(given: unknown, pinned: boolean): Promise<number | undefined> {
    const title = pinned ? 'Pin Array' : 'Unpin Array';
    const array = await this.#array(given, title, 'The array whose jobs are meant');
    if (!array) return undefined;
    return this.#onAll(partsOf(array), ({ id }) => this.cluster.call('jobs.pin', { job: id, pinned }));
  }

  /** @returns for how many it worked @throws GodwitError what went wrong first, with how many there were */
  async #onAll(jobs: Part[], work: (job: Part) => Promise<unknown>, atOnce?: number): Promise<number> {
    const outcomes = await each(jobs, work, atOnce);
    const failed = outcomes.flatMap(({ job, result }) =>
      'error' in result && !NOTHING_TO_DO.has(result.error.code) ? [{ job, error: result.error }] : [],
    );
    const [first] = failed;
    if (!first) return outcomes.filter(({ result }) => 'ok' in result).length;
    const { code, message, fix } = asGodwitError(first.error);
    const others = failed.length > 1 ? `, and ${failed.length - 1} more of ${jobs.length} failed` : '';
    throw new GodwitError({ code, message: `${first.job.name}: ${message}${others}`, fix });
  }

  /** @throws GodwitError `no-array`, `no-agent` */
  async #array(given: unknown, title: string, placeholder: string): Promise<LivingArray | undefined> {
    const arrays = arraysIn((await snapshotOf(this.cluster)).jobs);
    const id = typeof given === 'string' ? (meantBy(given).array ?? given) : undefined;
    if (id !== undefined) {
      const found = arrays.find((array) => array.id === id || array.name === id);
      if (found) return found;
      throw new GodwitError({ code: 'no-array', message: `no array "${id}" has jobs that run or wait` });
    }
    if (arrays.length === 0)
      throw new GodwitError({ code: 'no-array', message: 'there is no array of jobs' });
    const items = arrays.map((array) => ({
      label: plain(array.name),
      description: plain(arrayFigures(array.jobs)),
      value: array,
    }));
    const picked = await askToPick<LivingArray>({ title, placeholder, items });
    return typeof picked === 'symbol' ? undefined : picked;
  }
}

/** What is answered where another was quicker, or nothing is to be done. */
const NOTHING_TO_DO: ReadonlySet<string> = new Set(['job-ended', 'already-there']);

function arraysIn(jobs: readonly Job[]): LivingArray[] {
  const living = jobs.filter((job) => job.array && !isOver(job));
  const ids = [...new Set(living.map(({ array }) => array!.id))];
  return ids.map((id) => {
    const own = living.filter(({ array }) => array!.id === id);
    return { id, name: own[0]!.array!.name, jobs: own };
  });
}

const partsOf = ({ jobs }: LivingArray): Part[] =>
  jobs
    .map(({ id, name, array, queued }) => ({
      ...{ id, name, index: array!.index },
      stage: queued ? ('queued' as const) : ('living' as const),
    }))
    .sort((one, other) => one.index - other.index);
