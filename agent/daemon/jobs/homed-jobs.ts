/** What is reported of the jobs whose home is this node: as its journal has them, and as their hosts see them now. */
import type { HomedArray } from '../../api/array';
import { fitting } from '../../api/lists';
import type { HistoryEvent, Job } from '../../api/model';
import type { JobStatus } from '../../api/peer-contract';
import type { Peers } from '../cluster/peers';
import type { HomedJob, Journal } from '../journal/journal';

/** Read from the journal at once: what does not fit into a page is read again for the next. */
const ROWS_READ = 1_000;
/** A host that does not answer must not make `ps` wait. */
const STATUS_TIMEOUT_MS = 2_000;

export class HomedJobs {
  constructor(
    private readonly parts: {
      node: string;
      journal: Journal;
      peers: Pick<Peers, 'call'>;
      /** Of which jobs a move is not over. */
      moves: { isMoving(job: string): boolean };
      /** Of a job that is queued: its place, and what it waits for. */
      queued(job: string): { position: number; why: string } | null;
    },
  ) {}

  async one(job: HomedJob): Promise<Job> {
    return (await this.#seen([job]))[0]!;
  }

  async all(ended: boolean): Promise<Job[]> {
    return this.#seen(await this.parts.journal.jobs({ ended }));
  }

  async latestEnded(limit: number): Promise<Job[]> {
    return this.#seen(await this.parts.journal.latestEnded(limit));
  }

  /** Those that a person may mean by this. */
  async find(reference: string, limit: number): Promise<Job[]> {
    return this.#seen(await this.parts.journal.find(reference, limit));
  }

  /** Arrays that a person may mean by this. */
  async arrays(reference: string, limit: number): Promise<HomedArray[]> {
    return (await this.parts.journal.findArrays(reference, limit)).map(({ id, name, jobs }) => {
      const { spec, started } = jobs[0]!;
      const { user, allocation, array } = spec;
      const parts = jobs.map((job) => ({
        ...{ id: job.id, name: job.name, index: job.spec.array!.index },
        stage: stageOf(job),
      }));
      return { id, name, count: array!.count, jobs: parts, user: user.name, allocation, started };
    });
  }

  /** With its whole command. */
  async show(id: string): Promise<Job> {
    const [job] = await this.#seen([await this.parts.journal.job(id)]);
    return { ...job!, command: await this.parts.journal.command(id) };
  }

  /** A page of the jobs, `bytes` long at most; `next` is where the one behind it begins. */
  async page(ended: boolean, after: number, bytes: number): Promise<{ jobs: Job[]; next: number | null }> {
    const rows = await this.parts.journal.jobs({ ended, after, limit: ROWS_READ });
    const jobs = fitting(await this.#seen(rows), bytes);
    return { jobs, next: next(rows, jobs.length) };
  }

  /** The same of what has happened, to one job or to all. */
  async historyPage(
    job: string | undefined,
    after: number,
    bytes: number,
  ): Promise<{ events: HistoryEvent[]; next: number | null }> {
    const rows = await this.parts.journal.history({ job, after, limit: ROWS_READ });
    const events = fitting(
      rows.map(({ event }) => event),
      bytes,
    );
    return { events, next: next(rows, events.length) };
  }

  async #seen(jobs: HomedJob[]): Promise<Job[]> {
    const statuses = await this.#statuses(jobs);
    return jobs.map((job) => this.#describe(job, statuses.get(job.id)));
  }

  /** Each host is asked once for all of its jobs. */
  async #statuses(jobs: HomedJob[]): Promise<Map<string, JobStatus>> {
    const byHost = new Map<string, string[]>();
    for (const { id, state, ledger } of jobs) {
      if (state !== 'running') continue;
      byHost.set(ledger.host, [...(byHost.get(ledger.host) ?? []), id]);
    }
    const asked = [...byHost].map(async ([host, ids]) => {
      try {
        const options = { timeoutMs: STATUS_TIMEOUT_MS };
        return (await this.parts.peers.call(host, 'host.jobStatus', { jobs: ids }, options)).statuses;
      } catch {
        return [];
      }
    });
    return new Map((await Promise.all(asked)).flat().map((seen) => [seen.job, seen]));
  }

  #describe(job: HomedJob, seen: JobStatus | undefined): Job {
    const { id, name, spec, state, pid, exit, started, ended, pinned, balanced, moves, ledger } = job;
    const running =
      this.parts.moves.isMoving(id) || ledger.open
        ? 'moving'
        : (seen?.state ?? (job.launchedStopped ? 'stopped' : 'running'));
    return {
      id,
      name,
      command: spec.command,
      user: spec.user.name,
      ...(spec.tty ? { tty: true } : {}),
      ...(Object.keys(spec.limits).length > 0 ? { limits: spec.limits } : {}),
      // One that has another home is told of by that home; here it is over.
      state: state === 'running' ? running : state === 'adopted' ? 'lost' : state,
      home: this.parts.node,
      node: ledger.host,
      pid: pid ?? 0,
      address: hasAddress(job) ? (spec.address?.ip ?? null) : null,
      cpu: seen?.cpu ?? 0,
      rss: seen?.rss ?? 0,
      migrations: moves,
      debugged: seen?.debugged ?? false,
      pinned,
      ...(balanced ? {} : { balanced }),
      exit,
      started,
      ended,
      epoch: ledger.epoch,
      ...(spec.allocation === null ? {} : { allocation: spec.allocation }),
      ...(spec.array ? { array: spec.array } : {}),
      ...this.#queued(job),
      ...(spec.group ? { group: spec.group } : {}),
    };
  }

  #queued({ id, queuedSince: since }: HomedJob): Pick<Job, 'queued'> {
    const queued = since === null ? null : this.parts.queued(id);
    return since !== null && queued ? { queued: { ...queued, since } } : {};
  }
}

const stageOf = ({ state, queuedSince }: HomedJob): 'queued' | 'living' | 'over' => {
  if (state === 'ended' || state === 'lost') return 'over';
  return queuedSince === null ? 'living' : 'queued';
};

/** Where the next page begins, of which `taken` of these rows are not a part. */
const next = (rows: { position: number }[], taken: number): number | null =>
  taken < rows.length || rows.length === ROWS_READ ? (rows[taken - 1]?.position ?? null) : null;

/** It keeps its address until nothing of it is left anywhere. */
export const hasAddress = ({ state, ledger }: HomedJob): boolean =>
  state !== 'ended' || ledger.open !== null || ledger.debts.length > 0;
