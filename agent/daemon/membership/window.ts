/**
 * What is known of the members' load: of each the newest record that it made of itself. A node passes on the newest ones
 * of all; so each record goes a part of its way with many, and how old it is is known, without clocks that agree.
 */
import { type LoadRecord, MOST_AGE_MS } from '../../api/membership';

const MIB = 1024 * 1024;
/** Records of one node are made a second apart: a copy that came another way is no newer one. */
const SAME_MS = 500;
/** Only the newest are passed on, and no message has room for as many. */
const RECENT = 64;

export interface Figures {
  cpus: number;
  speed: number;
  load: number;
  /** Bytes. */
  memTotal: number;
  memFree: number;
  jobs: number;
  /** Threads that want to run, of all that runs there, now and on average; absent of an earlier version. */
  demand?: number | undefined;
  steady?: number | undefined;
  /** Its jobs are to leave, and none is to come. */
  draining?: boolean | undefined;
  /** Another one when its jobs have changed; absent of an earlier version. */
  mark?: number | undefined;
}

interface Held {
  record: LoadRecord;
  /** On this node's clock. */
  born: number;
}

const short = (value: number) => Math.round(value * 100) / 100;
const mebibytes = (bytes: number) => Math.round(bytes / MIB);

/** What a node says of itself now. */
export const recordOf = (
  node: string,
  { cpus, speed, load, memTotal, memFree, jobs, demand, steady, draining, mark }: Figures,
): LoadRecord => {
  const first = [node, 0, short(cpus), short(speed), short(load)] as const;
  const always = [...first, mebibytes(memTotal), mebibytes(memFree), jobs] as const;
  // JSON knows nothing that is absent in the middle.
  if (demand === undefined) return [...always];
  const later = [...always, short(demand), short(steady ?? demand), draining ? 1 : 0] as const;
  return mark === undefined ? [...later] : [...later, mark];
};

/** Rounded up: on its way a record may seem older than it is, never younger. */
const ageOf = (born: number, now: number) => Math.max(0, Math.ceil(now - born));

export class LoadWindow {
  readonly #held = new Map<string, Held>();
  /** The newest, the youngest first. */
  #recent: Held[] = [];

  /** @param kept `recent`: what is not passed on any more is forgotten */
  constructor(private readonly kept: 'all' | 'recent' = 'all') {}

  /** This node's own. */
  put(node: string, figures: Figures, now: number): void {
    this.#hold({ record: recordOf(node, figures), born: now });
  }

  /** Another's, unless it is no newer than what is known. */
  take(record: LoadRecord, now: number): void {
    const [node, age] = record;
    const born = now - age;
    const known = this.#held.get(node);
    if (known && born < known.born + SAME_MS) return;
    this.#hold({ record, born });
  }

  of(node: string, now: number): (Figures & { ageMs: number }) | null {
    const held = this.#held.get(node);
    if (!held) return null;
    const [, , cpus, speed, load, total, free, jobs, demand, steady, drained, mark] = held.record;
    const ageMs = Math.max(0, now - held.born);
    const later =
      demand === undefined ? {} : { demand, steady: steady ?? demand, draining: drained === 1, mark };
    return { cpus, speed, load, memTotal: total * MIB, memFree: free * MIB, jobs, ageMs, ...later };
  }

  /** The newest, as many as fit. */
  newest(now: number, fits: (record: LoadRecord) => boolean): LoadRecord[] {
    const taken: LoadRecord[] = [];
    for (const { record, born } of this.#recent) {
      const age = ageOf(born, now);
      if (age > MOST_AGE_MS) break;
      const [node, , ...figures] = record;
      const aged: LoadRecord = [node, age, ...figures];
      if (!fits(aged)) break;
      taken.push(aged);
    }
    return taken;
  }

  /** Of all, `most` at most. */
  all(now: number, most: number): LoadRecord[] {
    const taken: LoadRecord[] = [];
    for (const { record, born } of this.#held.values()) {
      const [node, , ...figures] = record;
      const age = ageOf(born, now);
      if (taken.length < most && age <= MOST_AGE_MS) taken.push([node, age, ...figures]);
    }
    return taken;
  }

  has(node: string): boolean {
    return this.#held.has(node);
  }

  forget(node: string): void {
    this.#held.delete(node);
    this.#recent = this.#recent.filter(({ record }) => record[0] !== node);
  }

  #hold(held: Held): void {
    const node = held.record[0];
    const before = this.#held.get(node);
    this.#held.set(node, held);
    if (before) {
      const at = this.#recent.indexOf(before);
      if (at >= 0) this.#recent.splice(at, 1);
    }
    let place = this.#recent.length;
    while (place > 0 && this.#recent[place - 1]!.born < held.born) place--;
    if (place < RECENT) this.#recent.splice(place, 0, held);
    if (this.#recent.length <= RECENT) return;
    const last = this.#recent.pop()!;
    if (this.kept === 'recent') this.#held.delete(last.record[0]);
  }
}
