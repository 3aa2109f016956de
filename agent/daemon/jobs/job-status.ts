/** What a host tells of the jobs that run on it: state, CPUs in use, memory, debuggers. */
import { PROGRAM_PID } from '../../api/model';
import type { JobStatus, JobUse } from '../../api/peer-contract';
import type { KeeperContract, StubSeen } from '../../keeper/contract';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { JobDemand } from '../../machine/cgroup/demand';
import { JobAccount } from '../../machine/cgroup/limits';
import { jobProcesses } from '../../machine/proc/processes';
import type { Link } from '../../wire/link';
import type { Copies } from './copies';
import type { Copy } from './copy';

/** The CPUs in use are those of at least this time. */
const SAMPLE_MS = 500;

interface Sample {
  at: number;
  usec: number;
  cpu: number;
}

export class JobStatuses {
  readonly #samples = new WeakMap<Copy, Sample>();
  readonly #demands = new WeakMap<Copy, JobDemand>();
  readonly #accounts = new WeakMap<Copy, Promise<JobAccount>>();

  constructor(
    private readonly copies: Copies,
    private readonly keeper: Link<KeeperContract>,
  ) {}

  /** Of those of these jobs that are here. */
  async of(jobs: string[]): Promise<JobStatus[]> {
    const stubs = await this.stubs();
    const statuses = await Promise.all(jobs.map((job) => this.#status(job, stubs)));
    return statuses.filter((status) => status !== null);
  }

  /** What those of these jobs take that are here: of most, some small files are read. */
  async uses(jobs: string[]): Promise<JobUse[]> {
    if (jobs.length === 0) return [];
    const stubs = await this.stubs();
    const uses = await Promise.all(jobs.map((job) => this.#use(job, stubs).catch(() => null)));
    return uses.filter((use) => use !== null);
  }

  async #use(job: string, stubs: readonly StubSeen[]): Promise<JobUse | null> {
    const copy = this.copies.get(job);
    if (!copy) return null;
    const account = obtain(this.#accounts, copy, () => JobAccount.of(copy.cgroup));
    const demand = obtain(this.#demands, copy, () => new JobDemand(JobCgroup.at(copy.cgroup).run));
    const wanted = await demand.look(performance.now());
    const memory = (await (await account).memory()) ?? 0;
    const stands = stubs.some((stub) => stub.job === job && !stub.running);
    return {
      ...{ job, epoch: copy.epoch, demand: wanted.demand, usedMs: wanted.usedUsec / 1_000, memory, stands },
      stopped: copy.launchedStopped,
    };
  }

  /** The CPUs that all jobs of this node use. */
  async load(): Promise<number> {
    const copies = this.copies.jobs.map((job) => this.copies.get(job)!);
    const used = await Promise.all(copies.map((copy) => this.#cpu(copy)));
    return used.reduce((sum, cpu) => sum + cpu, 0);
  }

  /** None where the keeper does not answer. */
  async stubs(): Promise<StubSeen[]> {
    const { stubs } = await this.keeper.call('stub.list', {}).catch(() => ({ stubs: [] }));
    return stubs;
  }

  async #status(job: string, stubs: readonly StubSeen[]): Promise<JobStatus | null> {
    const copy = this.copies.get(job);
    if (!copy) return null;
    const processes = await jobProcesses(JobCgroup.at(copy.cgroup));
    const program = processes.find(({ inner }) => inner === PROGRAM_PID);
    const counted = await (await JobAccount.of(copy.cgroup)).memory();
    const own = stubs.filter((stub) => stub.job === job);
    const stub = own.find(({ pid }) => pid === PROGRAM_PID);
    const traced = program?.state === 't' && !stub?.running;
    const stopped = copy.launchedStopped || program?.state === 'T' || traced;
    return {
      job,
      epoch: copy.epoch,
      state: this.copies.isLeaving(job) ? 'moving' : stopped ? 'stopped' : 'running',
      cpu: await this.#cpu(copy),
      rss: counted ?? processes.reduce((sum, { rss }) => sum + rss, 0),
      debugged: own.length > 0,
    };
  }

  async #cpu(copy: Copy): Promise<number> {
    const now = performance.now();
    const usec = await JobCgroup.at(copy.cgroup).cpuUsageUsec();
    const last = this.#samples.get(copy);
    if (last && now - last.at < SAMPLE_MS) return last.cpu;
    const cpu = last ? Math.max(0, (usec - last.usec) / 1000 / (now - last.at)) : 0;
    this.#samples.set(copy, { at: now, usec, cpu });
    return cpu;
  }
}

function obtain<K extends object, T>(map: WeakMap<K, T>, key: K, make: () => T): T {
  const value = map.get(key) ?? make();
  map.set(key, value);
  return value;
}
