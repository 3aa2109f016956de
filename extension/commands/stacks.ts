/** *Godwit: Stacks*: where all threads of one job, or of all, stand; and a debugger for one of them. */
import { commands, Uri, workspace } from 'vscode';
import { asGodwitError, GodwitError } from '../../agent/api/errors';
import { span } from '../../agent/api/figures';
import type { Job } from '../../agent/api/model';
import { plain } from '../../agent/api/plain';
import type { JobStacks } from '../../agent/api/stacks';
import { groupStacks, unreadLines } from '../../agent/client/stacks';
import type { Cluster } from '../cluster/cluster';
import { jobFigures } from '../cluster/descriptions';
import { living, snapshotOf } from '../prompts/places';
import { askToPick, type Dismissed } from '../prompts/steps';
import { stackRows } from '../stacks/model';
import { STACKS_VIEW, type StacksView } from '../stacks/view';
import { showSource, within } from '../window';
import type { Targets } from './targets';

/** What the pick has for all jobs together. */
const ALL = 'all';
/** A job's symbols may have to be read first. */
const FOR_AS_LONG_AS_IT_TAKES = { timeoutMs: Number.POSITIVE_INFINITY };

export class Stacks {
  /** Those that the view shows. */
  #jobs: readonly Job[] = [];

  constructor(
    private readonly cluster: Cluster,
    private readonly targets: Targets,
    private readonly view: StacksView,
  ) {}

  /** Resolves with the number of different stacks; undefined when the person gave it up. */
  async show(given: unknown): Promise<number | undefined> {
    const jobs = await this.#asked(given);
    if (!jobs) return undefined;
    this.#jobs = jobs;
    await commands.executeCommand('setContext', 'godwit.hasStacks', true);
    await commands.executeCommand(`${STACKS_VIEW}.focus`);
    return this.refresh();
  }

  /** The same jobs again, those of them that live. */
  async refresh(): Promise<number> {
    const { jobs } = await snapshotOf(this.cluster);
    const ids = new Set(jobs.filter(living).map(({ id }) => id));
    const there = this.#jobs.filter(({ id }) => ids.has(id));
    if (there.length === 0) throw nothingThere();
    return within(STACKS_VIEW, () => this.#read(there));
  }

  async #read(jobs: readonly Job[]): Promise<number> {
    const read: { job: string; stacks: JobStacks }[] = [];
    const notes: string[] = [];
    const failures: GodwitError[] = [];
    await Promise.all(
      jobs.map(async ({ id, name }) => {
        try {
          const stacks = await this.cluster.call('jobs.stacks', { job: id }, FOR_AS_LONG_AS_IT_TAKES);
          read.push({ job: id, stacks });
          notes.push(...unreadLines(name, stacks));
        } catch (error) {
          const failure = asGodwitError(error);
          failures.push(failure);
          notes.push(`${name}: ${failure.message}`);
        }
      }),
    );
    if (read.length === 0 && failures[0]) throw failures[0];
    const groups = groupStacks(read);
    const names = new Map(jobs.map(({ id, name }) => [id, name]));
    const stood = Math.max(...read.map(({ stacks }) => stacks.standstillMs));
    const whose = jobs.length === 1 ? jobs[0]!.name : `${jobs.length} jobs`;
    const when = new Date().toLocaleTimeString();
    const rows = stackRows(groups, (job) => names.get(job) ?? job, notes);
    this.view.show(rows, `${whose}, ${when}, stood still for ${span(stood)}`);
    return groups.length;
  }

  /** Has a session been started? */
  async debug(element: unknown): Promise<unknown> {
    const process = this.view.row(element)?.process;
    if (!process) throw rowGone();
    return commands.executeCommand('godwit.attachDebugger', process.job, process.pid);
  }

  /** A frame's line in its source. */
  async showFrame(element: unknown): Promise<void> {
    const source = this.view.row(element)?.source;
    if (!source) throw rowGone();
    const file = Uri.file(source.path);
    const isThere = await workspace.fs.stat(file).then(
      () => true,
      () => false,
    );
    if (!isThere) throw noSource(source.path);
    await showSource(file, source.line);
  }

  async #asked(given: unknown): Promise<readonly Job[] | Dismissed> {
    const question = {
      title: 'Stacks',
      placeholder: 'The job whose threads to look at',
      of: living,
      none: 'there is no job to look at',
    };
    const jobs = (await snapshotOf(this.cluster)).jobs.filter(living);
    if (given !== undefined || jobs.length < 2) {
      const job = await this.targets.job(given, question);
      return job && [job];
    }
    const choices = jobs.map((job) => ({
      label: plain(job.name),
      description: plain(`${job.node} · ${jobFigures(job, undefined)}`),
      value: job.id,
    }));
    const all = { label: plain('All jobs'), description: plain(`${jobs.length}`), value: ALL };
    const picked = await askToPick<string>({ ...question, items: [all, ...choices], active: ALL });
    if (typeof picked !== 'string') return undefined;
    return picked === ALL ? jobs : jobs.filter(({ id }) => id === picked);
  }
}

const nothingThere = () =>
  new GodwitError({ code: 'no-job', message: 'the jobs that were looked at have ended' });

const rowGone = () =>
  new GodwitError({ code: 'row-gone', message: 'the stacks have been read anew', fix: 'click it again' });

const noSource = (path: string) =>
  new GodwitError({ code: 'no-source', message: `the source ${path} is not on this machine` });
