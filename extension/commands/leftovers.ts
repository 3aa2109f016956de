/** What a node that is gone for good has left of a job: a person decides whether it runs on. */
import { asGodwitError } from '../../agent/api/errors';
import type { Job } from '../../agent/api/model';
import type { Cluster } from '../cluster/cluster';
import { isLeft } from '../cluster/descriptions';
import { snapshotOf } from '../prompts/places';
import { ask, tell } from '../window';
import type { Targets } from './targets';

type Verb = 'adopt' | 'forget';

const TEXTS = {
  adopt: {
    title: 'Adopt Job',
    placeholder: 'The job whose copy is to run on',
    button: 'Adopt Job',
    done: (job: Job, node: string) => `${job.name} runs on at ${node}.`,
  },
  forget: {
    title: 'Forget Job',
    placeholder: 'The job to give up',
    button: 'Forget Job',
    done: (job: Job, node: string) => `What was left of ${job.name} on ${node} is cleared away.`,
  },
} as const satisfies Record<Verb, unknown>;

export class Leftovers {
  constructor(
    private readonly cluster: Cluster,
    private readonly targets: Targets,
  ) {}

  /** Resolves with the node where the copy is, or was; undefined when the person gave it up. */
  async decide(verb: Verb, given: unknown): Promise<string | undefined> {
    const { title, placeholder, button, done } = TEXTS[verb];
    const { nodes } = await snapshotOf(this.cluster);
    const job = await this.targets.job(given, {
      ...{ title, placeholder, of: (one) => isLeft(one, nodes) },
      none: 'no job has lost its home or its node',
    });
    if (!job) return undefined;
    const risk = await this.#riskOf(verb, job);
    if ((await ask('warning', `${title} ${job.name}?`, risk, button)) !== button) return undefined;
    const { node } = await this.#asked(verb, job, true);
    void tell('information', done(job, node));
    return node;
  }

  /** The agent says it to who has not confirmed. */
  async #riskOf(verb: Verb, job: Job): Promise<string> {
    try {
      await this.#asked(verb, job, false);
    } catch (error) {
      const { code, message } = asGodwitError(error);
      if (code === 'not-confirmed') return message;
      throw error;
    }
    throw new Error(`${job.id} was done without being confirmed`);
  }

  /** A frozen copy may be large, and each of its debuggers takes a moment. */
  #asked(verb: Verb, { id: job }: Job, confirmed: boolean) {
    const params = { job, confirmed };
    return this.cluster.call(`jobs.${verb}`, params, { timeoutMs: Number.POSITIVE_INFINITY });
  }
}
