/** The stacks of this node's jobs: of one job of a user's at a time, and never while it is parked or attached to. */
import { GodwitError } from '../api/errors';
import { type JobStacks, MOST_PROCESSES_READ, MOST_THREADS_READ } from '../api/stacks';
import { readStacks, type StackTools } from '../debug/stacks/reader';
import { JobCgroup } from '../machine/cgroup/cgroup';
import { jobProcesses } from '../machine/proc/processes';
import { SerialQueue } from '../machine/serial-queue';
import type { JobLocation } from './contract';
import type { Stubs } from './stubs';

/** Of one user's that wait for their turn. */
const MOST_WAITING = 64;

class Turns extends SerialQueue {
  waiting = 0;
}

export class Stacks {
  /** By user number. */
  readonly #turns = new Map<number, Turns>();

  constructor(
    private readonly tools: StackTools,
    private readonly stubs: Pick<Stubs, 'untouched'>,
  ) {}

  /** @throws GodwitError `job-moving`, `stacks-unread`, `stacks-busy`, `cancelled` */
  async read(location: JobLocation, signal: AbortSignal): Promise<JobStacks> {
    const { uid } = location.user;
    const turns = this.#turns.get(uid) ?? new Turns();
    if (turns.waiting >= MOST_WAITING) throw busy();
    this.#turns.set(uid, turns);
    turns.waiting++;
    try {
      return await turns.take(() => this.#read(location, signal));
    } finally {
      turns.waiting--;
      if (turns.waiting === 0) this.#turns.delete(uid);
    }
  }

  #read(location: JobLocation, signal: AbortSignal): Promise<JobStacks> {
    signal.throwIfAborted();
    return this.stubs.untouched(location.job, async (done) => {
      const { pids, left } = await chosen(location);
      const standing = { owner: location.user, init: location.init, pids };
      const stacks = await readStacks(this.tools, standing, signal, done);
      return { ...stacks, more: stacks.more + left };
    });
  }
}

/** As many of its processes as are read at once; PID 1 is no part of the program. */
async function chosen({ cgroup, init }: JobLocation): Promise<{ pids: number[]; left: number }> {
  const processes = (await jobProcesses(JobCgroup.at(cgroup))).filter(({ pid }) => pid !== init);
  const pids: number[] = [];
  let [threads, left] = [0, 0];
  for (const process of processes) {
    const fits = pids.length < MOST_PROCESSES_READ && threads + process.threads <= MOST_THREADS_READ;
    if (fits) pids.push(process.inner);
    if (fits) threads += process.threads;
    else left += process.threads;
  }
  return { pids, left };
}

const busy = () =>
  new GodwitError({
    code: 'stacks-busy',
    message: `the stacks of ${MOST_WAITING} jobs are being read already`,
    fix: 'try again when they have been',
  });
