import { z } from 'zod';
import type { Job } from '../../agent/api/model';
import type { Cluster } from '../cluster/cluster';
import { isOver } from '../cluster/descriptions';
import { living } from '../prompts/places';
import { ask, tell } from '../window';
import type { Targets } from './targets';

/** What a program that heeds SIGTERM takes; then the harder way is offered. */
const ENDS_WITHIN_MS = 5_000;

/** With a signal there is no question. */
const Options = z.object({ signal: z.enum(['SIGTERM', 'SIGKILL']) }).optional();

export class Ending {
  constructor(
    private readonly cluster: Cluster,
    private readonly targets: Targets,
  ) {}

  /** Has the job ended? Undefined when the person gave it up. */
  async end(given: unknown, options: unknown): Promise<boolean | undefined> {
    const asked = Options.safeParse(options).data;
    const job = await this.targets.job(given, {
      title: 'End Job',
      placeholder: 'The job to end',
      of: living,
      none: 'there is no job to end',
    });
    if (!job) return undefined;
    if (!asked && !(await confirmed(job))) return undefined;
    const signal = asked?.signal ?? 'SIGTERM';
    if (await this.#kill(job, signal)) return true;
    return signal === 'SIGKILL' || asked ? false : this.#harder(job);
  }

  async #harder(job: Job): Promise<boolean> {
    const kill = 'End with SIGKILL';
    const seconds = ENDS_WITHIN_MS / 1000;
    const message = `${job.name} got SIGTERM and has not ended within ${seconds} s.`;
    if ((await tell('warning', message, kill)) !== kill) return false;
    return this.#kill(job, 'SIGKILL');
  }

  async #kill(job: Job, signal: 'SIGTERM' | 'SIGKILL'): Promise<boolean> {
    await this.cluster.call('jobs.kill', { job: job.id, signal });
    const over = this.cluster.until(
      ({ jobs }) => jobs.some((one) => one.id === job.id && isOver(one)),
      ENDS_WITHIN_MS,
    );
    return (await over) === true;
  }
}

async function confirmed(job: Job): Promise<boolean> {
  const end = 'End Job';
  const detail = `It runs on ${job.node} and gets SIGTERM${job.debugged ? '; its debugger goes with it' : ''}.`;
  return (await ask('warning', `End ${job.name}?`, detail, end)) === end;
}
