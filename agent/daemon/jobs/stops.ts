import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { PROGRAM_PID } from '../../api/model';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { nodePid, parseStat } from '../../machine/proc/processes';
import type { Copies } from './copies';
import type { Copy } from './copy';

/** Seen within the fifth of a second after which a person calls something late. */
const LOOK_MS = 150;

interface Seen {
  pid: number;
  stopped: boolean;
}

/**
 * Sees the programs of this node's jobs stop and go on. The kernel tells that to a process's parent and its tracer
 * alone, so they are looked at: one small file each, and only while a client watches.
 */
export class Stops {
  #seen = new Map<Copy, Seen>();
  #until = 0;
  #looking = false;

  constructor(
    private readonly copies: Copies,
    private readonly changed: () => void,
  ) {}

  /** Goes on looking for at least this long. */
  keepLooking(ms: number): void {
    this.#until = performance.now() + ms;
    if (!this.#looking) void this.#run();
  }

  async #run() {
    this.#looking = true;
    for (; performance.now() < this.#until; await sleep(LOOK_MS)) await this.#look();
    this.#looking = false;
    this.#seen.clear();
  }

  async #look() {
    const copies = this.copies.jobs.map((job) => this.copies.get(job)).filter((copy) => copy !== undefined);
    const now = new Map<Copy, Seen>();
    for (const copy of copies) {
      const before = this.#seen.get(copy);
      const seen = await look(copy, before?.pid);
      if (!seen) continue;
      now.set(copy, seen);
      if (before && before.stopped !== seen.stopped) this.changed();
    }
    this.#seen = now;
  }
}

/** Null when there is nothing to be seen: it is being restored, or ends. */
async function look(copy: Copy, known: number | undefined): Promise<Seen | null> {
  try {
    const pid = known ?? (await nodePid(JobCgroup.at(copy.cgroup), PROGRAM_PID));
    const { state } = parseStat(await readFile(`/proc/${pid}/stat`, 'latin1'));
    return { pid, stopped: /[Tt]/.test(state) };
  } catch {
    return null;
  }
}
