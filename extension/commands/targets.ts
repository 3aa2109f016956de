/** What a command was called with: by the view, a toolbar, a key binding or a test. */
import { debug } from 'vscode';
import type { Job } from '../../agent/api/model';
import type { Cluster } from '../cluster/cluster';
import { jobById, resolveJob } from '../cluster/jobs';
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
    const jobs = async () => (await snapshotOf(this.cluster)).jobs;
    const id = this.#pointedAt(given);
    if (id !== undefined) return jobById(id, await jobs());
    if (typeof given === 'string' && given !== '') return resolveJob(given, await jobs());
    return askForJob(this.cluster, { ...question, likely: this.debugged.jobOf(debug.activeDebugSession) });
  }

  /** The job of the row, or of the toolbar, whose button was pressed: that one and no other that is called like it. */
  #pointedAt(given: unknown): string | undefined {
    if (typeof given === 'string') return meantBy(given).job;
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
