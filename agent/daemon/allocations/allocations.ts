/** What this node knows of allocations, and what follows of it for jobs that are to come here or to run somewhere else. */
import { asGodwitError, type GodwitError } from '../../api/errors';
import type { Share, User } from '../../api/model';
import type { Allocation, AllocationSource } from './allocation';
import * as errors from './errors';

/** So old may an answer be: a move asks several times for the same. */
const KEPT_MS = 3_000;
/** Allocations that have been asked about lately; more of them are asked about anew. */
const MOST_KEPT = 1_000;

/** Where something new may begin. */
export interface Placement {
  id: string;
  nodes: readonly string[];
  /** Those of them that are to be chosen. */
  open: readonly string[];
}

/** A job, as far as allocations are concerned. */
interface Allotted {
  user: User;
  allocation: string | null;
}

export interface AllocationsOptions {
  node: string;
  /** Null where there are no allocations. */
  source: AllocationSource | null;
  /** Users other than root run jobs in their allocations only. */
  required: boolean;
}

export class Allocations {
  readonly #kept = new Map<string, { at: number; answer: Promise<Allocation | null> }>();
  /** By root's word, which comes before others learn of it. */
  readonly #over = new Set<string>();

  constructor(private readonly options: AllocationsOptions) {}

  get inForce(): boolean {
    return this.options.source !== null;
  }

  get required(): boolean {
    return this.inForce && this.options.required;
  }

  /** Null where there is none, or none any more. @throws `allocations-unknown`, `allocations-unclear` */
  async find(id: string): Promise<Allocation | null> {
    const { source } = this.options;
    if (!source || this.#over.has(id)) return null;
    const now = performance.now();
    const kept = this.#kept.get(id);
    if (kept && now - kept.at < KEPT_MS) return kept.answer;
    const answer = source.find(id);
    if (this.#kept.size >= MOST_KEPT) this.#kept.clear();
    this.#kept.set(id, { at: now, answer });
    // A failure is no answer.
    answer.catch(() => this.#kept.delete(id));
    return answer;
  }

  /** Nothing of it begins here from now on. */
  end(id: string): void {
    this.#over.add(id);
  }

  /** Is what runs here in this allocation to end? @throws while that can't be known */
  async hasLeft(id: string): Promise<boolean> {
    // Nobody is there to ask: a job outlives a change of the configuration.
    if (!this.inForce) return false;
    const found = await this.find(id);
    return found === null || found.over || (found.active && !found.nodes.has(this.options.node));
  }

  /** Of this node; nothing is limited outside of allocations. */
  async share(id: string | null): Promise<Share> {
    if (id === null) return {};
    return (await this.find(id))?.nodes.get(this.options.node) ?? {};
  }

  /** Why a job is not to run on this node; null if it may. */
  async refusal({ user, allocation }: Allotted): Promise<GodwitError | null> {
    const { node, source } = this.options;
    if (!source) return allocation === null ? null : errors.noAllocationsHere(node, allocation);
    if (allocation === null) return this.required && user.uid !== 0 ? errors.allocationRequired(node) : null;
    try {
      const { nodes, open } = await this.placement(user, allocation);
      if (!nodes.includes(node)) return errors.outsideAllocation(node, allocation, nodes);
      return open.includes(node) ? null : errors.nodeDraining(node, source.name);
    } catch (error) {
      return asGodwitError(error);
    }
  }

  /** The same for a job whose home this node is, and any node; of one that others must know about, null. */
  async outside(allocation: string | null, node: string): Promise<GodwitError | null> {
    if (allocation === null || !this.inForce) return null;
    const found = await this.find(allocation).catch(() => null);
    if (!found || found.over || found.nodes.has(node)) return null;
    return errors.outsideAllocation(node, allocation, [...found.nodes.keys()]);
  }

  /** Where the user may begin something in this allocation. @throws why they may not */
  async placement(user: User, id: string): Promise<Placement> {
    const found = await this.find(id);
    if (found && found.uid !== user.uid) throw errors.notYourAllocation(id);
    if (!found?.active) throw errors.notInForce(id, found?.over ?? true);
    const nodes = [...found.nodes.keys()];
    const draining = await this.options.source!.draining(nodes);
    return { id, nodes, open: nodes.filter((node) => !draining.has(node)) };
  }

  /** In which allocation a user runs who names none; null where it takes none. @throws `allocation-required` */
  async only(user: User): Promise<string | null> {
    if (!this.required || user.uid === 0) return null;
    const ids = await this.options.source!.of(user.uid);
    if (ids.length > 1) throw errors.severalOfYours(ids);
    const [id] = ids;
    if (id === undefined) throw errors.noneOfYours(this.options.node);
    return id;
  }
}
