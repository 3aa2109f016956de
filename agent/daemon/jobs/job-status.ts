/** What a host tells of the jobs that run on it: state, CPUs in use, memory, debuggers. */
import { PROGRAM_PID } from '../../api/model';
import type { JobStatus, JobUse } from '../../api/peer-contract';
import type { KeeperContract, StubSeen } from '../../keeper/contract';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { JobDemand } from '../../machine/cgroup/demand';
import { JobAccount } from '../../machine/cgroup/limits';
import { CpusInUse } from '../../machine/cgroup/usage';
import { jobProcesses } from '../../machine/proc/processes';
import { Program } from '../../machine/proc/program';
import type { Link } from '../../wire/link';
import type { MountedFiles } from '../homefs/mounted';
import type { Copies } from './copies';
import { type Copy, mountOf } from './copy';

export class JobStatuses {
  readonly #cpus = new WeakMap<Copy, CpusInUse>();
  readonly #all: CpusInUse;
  readonly #demands = new WeakMap<Copy, JobDemand>();
  readonly #programs = new WeakMap<Copy, Program>();
  readonly #accounts = new WeakMap<Copy, Promise<JobAccount>>();

  constructor(
    private readonly copies: Copies,
    private readonly keeper: Link<KeeperContract>,
    private readonly mounted: Pick<MountedFiles, 'delayedMs'>,
    /** Of this node, with its jobs' in it. */
    cgroup: Promise<string>,
  ) {
    this.#all = new CpusInUse(cgroup);
  }

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
    const files = mountOf(copy);
    const delayedMs = files && (await this.mounted.delayedMs(files));
    return {
      ...{ job, epoch: copy.epoch, demand: wanted.demand, usedMs: wanted.usedUsec / 1_000, memory, stands },
      stopped: copy.launchedStopped,
      ...(delayedMs === null ? {} : { delayedMs }),
    };
  }

  /** The CPUs that all jobs of this node use: one file is read for any number of them. */
  async load(): Promise<number> {
    // Absent before the first job and after the last.
    return this.copies.jobs.length === 0 ? 0 : this.#all.look().catch(() => 0);
  }

  /** None where the keeper does not answer. */
  async stubs(): Promise<StubSeen[]> {
    const { stubs } = await this.keeper.call('stub.list', {}).catch(() => ({ stubs: [] }));
    return stubs;
  }

  async #status(job: string, stubs: readonly StubSeen[]): Promise<JobStatus | null> {
    const copy = this.copies.get(job);
    if (!copy) return null;
    const cgroup = JobCgroup.at(copy.cgroup);
    const account = obtain(this.#accounts, copy, () => JobAccount.of(copy.cgroup));
    const program = obtain(this.#programs, copy, () => new Program(cgroup, PROGRAM_PID));
    const [state, counted, cpu] = await Promise.all([
      program.state(),
      account.then((one) => one.memory()),
      this.#cpu(copy),
    ]);
    const own = stubs.filter((stub) => stub.job === job);
    const stub = own.find(({ pid }) => pid === PROGRAM_PID);
    const traced = state === 't' && !stub?.running;
    const stopped = copy.launchedStopped || state === 'T' || traced;
    return {
      job,
      epoch: copy.epoch,
      state: this.copies.isLeaving(job) ? 'moving' : stopped ? 'stopped' : 'running',
      cpu,
      rss: counted ?? (await jobProcesses(cgroup)).reduce((sum, { rss }) => sum + rss, 0),
      debugged: own.length > 0,
    };
  }

  #cpu(copy: Copy): Promise<number> {
    const folder = JobCgroup.at(copy.cgroup).path;
    return obtain(this.#cpus, copy, () => new CpusInUse(folder)).look();
  }
}

function obtain<K extends object, T>(map: WeakMap<K, T>, key: K, make: () => T): T {
  const value = map.get(key) ?? make();
  map.set(key, value);
  return value;
}
