/** What a command was called with: by the view, a toolbar, a key binding or a test. */
import { debug } from 'vscode';
import type { Job } from '../../agent/api/model';
import type { Cluster } from '../cluster/cluster';
import { resolveJob } from '../cluster/jobs';
import type { DebuggedJobs } from '../debug/sessions';
import { askForJob, type JobQuestion, snapshotOf } from '../prompts/places';
import type { Dismissed } from '../prompts/steps';
import { meantBy } from '../tree/model';

export class Targets {
  constructor(
    private readonly cluster: Cluster,
    private readonly debugged: DebuggedJobs,
  ) {}

  /**
   * The job that `given` stands for: an element of the view, an id or a name, a debug session's toolbar; else the one
   * that the person picks.
   * @throws GodwitError `no-such-job`, `ambiguous-job`, `no-job`, `no-agent`
   */
  async job(given: unknown, question: Omit<JobQuestion, 'likely'>): Promise<Job | Dismissed> {
    const reference = this.#reference(given);
    if (reference !== undefined) return resolveJob(reference, (await snapshotOf(this.cluster)).jobs);
    return askForJob(this.cluster, { ...question, likely: this.debugged.jobOf(debug.activeDebugSession) });
  }

  #reference(given: unknown): string | undefined {
    if (typeof given === 'string' && given !== '') return meantBy(given).job ?? given;
    // A toolbar's button says for which session it was pressed.
    const session = (given as { sessionId?: unknown } | null | undefined)?.sessionId;
    return typeof session === 'string' ? this.debugged.jobOf(session) : undefined;
  }
}

/** A node's name, from itself or from an element of the view. */
export function nodeGiven(given: unknown): string | undefined {
  if (typeof given !== 'string' || given === '') return undefined;
  const { job, node } = meantBy(given);
  return job === undefined ? (node ?? given) : undefined;
}
