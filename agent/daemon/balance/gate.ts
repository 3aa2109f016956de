/**
 * A node's own word about moves: one out and one in at a time, and it takes a job only where there is room by its own
 * figures, which are those of now, with what it has promised and has not come yet.
 */
import { after, hasRoom, type Load, marginal, stretch } from './cost';
import type { Worth } from './decide';
import { type KnownNode, known, type NodeSaid, SEEN_AFTER_MS } from './known';
import { loadOf, type Need, type NoRoom, noRoom, type Taken } from './room';

/** A promise holds no longer: who asked has ended, or thought better of it. */
export const PROMISE_MS = 120_000;

/** More jobs don't begin within that time on one node: a member that asks for more means something else. */
const MOST_PROMISED = 1_000;

export interface Asking extends Load {
  job: string;
  worth: Worth;
}

export type Refused = 'busy' | 'draining' | 'no-room' | 'costs-more';

interface Promised extends Load {
  job: string;
  at: number;
  cameAt: number | null;
  /** It begins here: several may, where only one moves in at a time. */
  begins: boolean;
}

export class Gate {
  #promised: Promised[] = [];
  #leaving: { job: string; at: number } | null = null;

  /** @param own this node, as it finds itself to be now */
  ask(asking: Asking, own: NodeSaid, now: number): { ok: true } | { ok: false; why: Refused } {
    this.#forget(now);
    const no = (why: Refused) => ({ ok: false, why }) as const;
    const isComing = ({ cameAt, job, begins }: Promised) => cameAt === null && job !== asking.job && !begins;
    if (this.#promised.some(isComing)) return no('busy');
    const node = known(own);
    if (!node || node.draining) return no('draining');
    // One that asks again, as its answer was lost, is not counted twice.
    this.#promised = this.#promised.filter(({ job }) => job !== asking.job);
    const promised = this.withPromised(node, now);
    if (!hasRoom(promised, asking.memory)) return no('no-room');
    const { worth } = asking;
    if (stretch(promised, asking) > worth.stretch || marginal(promised, asking) > worth.cost)
      return no('costs-more');
    const { job, demand, memory } = asking;
    this.#promised.push({ job, demand, memory, at: now, cameAt: null, begins: false });
    return { ok: true };
  }

  /** May it begin here? @param own this node, as it finds itself to be now @param taken what its jobs have reserved */
  begin(job: string, need: Need, own: NodeSaid, taken: Taken, now: number): NoRoom | 'draining' | null {
    this.#forget(now);
    // One that asks again, as its answer was lost, is not counted twice.
    this.#promised = this.#promised.filter((one) => one.job !== job || one.cameAt !== null);
    const node = known(own);
    if (!node || node.draining) return 'draining';
    const reserved = this.#promised.filter(({ begins, cameAt }) => begins && cameAt === null);
    const cpus = reserved.reduce((sum, { demand }) => sum + demand, taken.cpus);
    if (this.#promised.length >= MOST_PROMISED) return 'cpus';
    const refused = noRoom(this.withPromised(node, now), { ...taken, cpus }, need);
    if (refused) return refused;
    const { demand, memory } = loadOf(need, node);
    this.#promised.push({ job, demand, memory, at: now, cameAt: null, begins: true });
    return null;
  }

  /** May it leave? One at a time does. */
  leave(job: string, now: number): boolean {
    this.#forget(now);
    if (this.#leaving && this.#leaving.job !== job) return false;
    this.#leaving = { job, at: now };
    return true;
  }

  left(job: string): void {
    if (this.#leaving?.job === job) this.#leaving = null;
  }

  came(job: string, now: number): void {
    for (const one of this.#promised) if (one.job === job) one.cameAt = now;
  }

  /** It does not come after all. */
  withdrawn(job: string): void {
    this.#promised = this.#promised.filter((one) => one.job !== job || one.cameAt !== null);
  }

  withPromised(node: KnownNode, now: number): KnownNode {
    this.#forget(now);
    const more = { demand: 0, memory: 0 };
    for (const { demand, memory, cameAt } of this.#promised) {
      more.demand += demand * (cameAt === null ? 1 : 1 - (now - cameAt) / SEEN_AFTER_MS);
      if (cameAt === null) more.memory += memory;
    }
    return after(node, more);
  }

  #forget(now: number) {
    this.#promised = this.#promised.filter(({ at, cameAt }) =>
      cameAt === null ? now - at < PROMISE_MS : now - cameAt < SEEN_AFTER_MS,
    );
    if (this.#leaving && now - this.#leaving.at >= PROMISE_MS) this.#leaving = null;
  }
}
