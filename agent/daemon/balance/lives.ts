/** What a home has seen of its jobs' lives: CPU time since they last stood idle, on all hosts, and since when they are where. */

/** A job that wants less than this of a CPU stands idle. */
const IDLE = 0.1;
/** So long, and it is another piece of work that comes next. */
const IDLE_MS = 10_000;

interface Life {
  host: string;
  cameAt: number;
  /** By the host's count, in milliseconds of the reference machine. */
  hostMs: number;
  usedMs: number;
  idleSince: number | null;
  at: number;
}

export interface Seen {
  usedMs: number;
  hereMs: number;
  /** Since it was looked last, on the same host; null where there is no such look. */
  since: { ms: number; usedMs: number } | null;
}

export class Lives {
  readonly #lives = new Map<string, Life>();

  /** @param hostMs the CPU time that it has had on this host, in milliseconds of the reference machine */
  saw(job: string, host: string, { hostMs, demand }: { hostMs: number; demand: number }, now: number): Seen {
    const before = this.#lives.get(job);
    const same = before?.host === host && hostMs >= before.hostMs;
    const more = hostMs - (same ? before.hostMs : 0);
    const idleSince = demand >= IDLE ? null : (before?.idleSince ?? now);
    const rested = before?.idleSince != null && idleSince === null && now - before.idleSince >= IDLE_MS;
    const life: Life = {
      ...{ host, hostMs, idleSince, at: now, cameAt: same ? before.cameAt : now },
      usedMs: rested ? more : (before?.usedMs ?? 0) + more,
    };
    this.#lives.set(job, life);
    const since = same && now > before.at ? { ms: now - before.at, usedMs: more } : null;
    return { usedMs: life.usedMs, hereMs: now - life.cameAt, since };
  }

  /** Others are over. */
  keep(jobs: ReadonlySet<string>): void {
    for (const job of this.#lives.keys()) if (!jobs.has(job)) this.#lives.delete(job);
  }
}
