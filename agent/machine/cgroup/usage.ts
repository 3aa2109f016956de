/** The CPUs that a cgroup uses, by what the kernel counts of it and of all below it (cgroup-v2.rst, cpu.stat). */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The CPUs in use are those of at least this time. */
const SAMPLE_MS = 500;

export class CpusInUse {
  #last: { at: number; usec: number; cpus: number } | null = null;

  /** @param folder the cgroup's; it may come and go */
  constructor(private readonly folder: string | Promise<string>) {
    // Said at each look.
    Promise.resolve(folder).catch(() => {});
  }

  /** On average since it was last looked at; 0 at the first look. Throws where the folder can't be read. */
  async look(): Promise<number> {
    const usec = await usedUsec(await this.folder);
    const now = performance.now();
    const last = this.#last;
    if (last && now - last.at < SAMPLE_MS) return last.cpus;
    const cpus = last ? Math.max(0, (usec - last.usec) / 1000 / (now - last.at)) : 0;
    this.#last = { at: now, usec, cpus };
    return cpus;
  }
}

/** CPU time in microseconds; processes that have ended count. */
async function usedUsec(folder: string): Promise<number> {
  const stat = await readFile(join(folder, 'cpu.stat'), 'utf8');
  return Number(/^usage_usec (\d+)/m.exec(stat)?.[1] ?? 0);
}
