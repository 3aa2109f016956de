import { setTimeout as sleep } from 'node:timers/promises';
import { PROGRAM_PID } from '../../api/model';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { Program } from '../../machine/proc/program';
import type { Copies } from './copies';
import type { Copy } from './copy';

/** Seen within the fifth of a second after which a person calls something late. */
const LOOK_MS = 150;

/** Of many jobs each look takes long: between two it rests for so many times as long, but not longer than this. */
const REST = 20;
const MOST_REST_MS = 2_000;

interface Seen {
  program: Program;
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
    while (performance.now() < this.#until) {
      const begun = performance.now();
      await this.#look();
      const rest = Math.min(MOST_REST_MS, REST * (performance.now() - begun));
      await sleep(Math.max(LOOK_MS, rest));
    }
    this.#looking = false;
    this.#seen.clear();
  }

  async #look() {
    const copies = this.copies.jobs.map((job) => this.copies.get(job)).filter((copy) => copy !== undefined);
    const now = new Map<Copy, Seen>();
    for (const copy of copies) {
      const before = this.#seen.get(copy);
      const program = before?.program ?? new Program(JobCgroup.at(copy.cgroup), PROGRAM_PID);
      const state = await program.state();
      if (state === null) continue;
      const stopped = /[Tt]/.test(state);
      now.set(copy, { program, stopped });
      if (before && before.stopped !== stopped) this.changed();
    }
    this.#seen = now;
  }
}
