/** What this node knows of allocations, and what follows of it for jobs that are to come here or to run somewhere else. */
import { asGodwitError, type GodwitError } from '../../api/errors';
import type { Share, User } from '../../api/model';
import type { Allocation, AllocationSource } from './allocation';
import * as errors from './errors';
import { Kept } from './kept';

/** By then the batch system has long known it too. */
const MOST_LEFT = 1_000;

/** Where something new may begin. */
export interface Placement {
  id: string;
  nodes: readonly string[];
  /** Those of them that take something new. */
  open: () => Promise<readonly string[]>;
}

/** A job, as far as allocations are concerned. */
interface Allotted {
  user: User;
  allocation: string | null;
}

/** Those of a user that are not over; is each in force? */
type Theirs = ReadonlyMap<string, boolean>;

export interface AllocationsOptions {
  node: string;
  /** Null where there are no allocations. */
  source: AllocationSource | null;
  /** Users other than root run jobs in their allocations only. */
  required: boolean;
}

export class Allocations {
  readonly #found: Kept<string, Allocation | null>;
  /** By users. What a user asks for costs no more than one question in a while, whatever they name. */
  readonly #theirs: Kept<number, Theirs>;
  /** Of an allocation's nodes, those that take nothing new. */
  readonly #draining: Kept<string, ReadonlySet<string>>;
  /** Those that have this node no more, by root's word, which may come before Slurm's. */
  readonly #left = new Set<string>();

  constructor(private readonly options: AllocationsOptions) {
    const { source } = options;
    this.#found = new Kept(async (id) => (await source?.find(id)) ?? null);
    this.#draining = new Kept(async (id) => {
      const nodes = [...((await this.find(id))?.nodes.keys() ?? [])];
      return source && nodes.length > 0 ? source.draining(nodes) : new Set();
    });
    this.#theirs = new Kept(async (uid) => {
      const all = (await source?.of(uid)) ?? [];
      return new Map(all.map(({ id, active }) => [id, active]));
    });
  }

  get inForce(): boolean {
    return this.options.source !== null;
  }

  get required(): boolean {
    return this.inForce && this.options.required;
  }

  /** Null where there is none, or none any more. @throws `allocations-unknown`, `allocations-unclear` */
  find(id: string): Promise<Allocation | null> {
    return this.#found.get(id);
  }

  /** It is over on this node: nothing of it begins here from now on. */
  end(id: string): void {
    this.#left.add(id);
    for (const oldest of this.#left) {
      if (this.#left.size <= MOST_LEFT) return;
      this.#left.delete(oldest);
    }
  }

  /** Is what runs here in this allocation to end? @throws while that can't be known */
  async hasLeft(id: string): Promise<boolean> {
    // There is none to ask: a job outlives a change of the configuration.
    if (!this.inForce) return false;
    if (this.#left.has(id)) return true;
    const found = await this.find(id);
    return found === null || found.over || (found.active && !found.nodes.has(this.options.node));
  }

  /** The nodes of an allocation that take something new; null for a job that may be anywhere. @throws while that can't be known */
  async openIn(id: string | null): Promise<readonly string[] | null> {
    if (id === null || !this.inForce) return null;
    const draining = await this.#draining.latest(id);
    return [...((await this.find(id))?.nodes.keys() ?? [])].filter((node) => !draining.has(node));
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
      const { nodes } = await this.placement(user, allocation);
      if (!nodes.includes(node)) return errors.outsideAllocation(node, allocation, nodes);
      // What was drained a moment ago may be so no more.
      const draining = await this.#draining.that((some) => !some.has(node), allocation);
      return draining.has(node) ? errors.nodeDraining(node, source.name) : null;
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
    const theirs = await this.#theirs.that((all) => all.get(id) === true, user.uid);
    if (!theirs.get(id)) throw errors.notInForce(id);
    const found = await this.#found.that((one) => one?.active === true, id);
    if (!found?.active || found.uid !== user.uid) throw errors.notInForce(id);
    const nodes = [...found.nodes.keys()].filter((node) => node !== this.options.node || !this.#left.has(id));
    const open = async () => {
      const draining = await this.#draining.latest(id);
      return nodes.filter((node) => !draining.has(node));
    };
    return { id, nodes, open };
  }

  /** Of one of the user's; of root's and any that root looks at. None of another's or one that is over. @throws the same */
  async nodesOf(user: User, id: string): Promise<readonly string[]> {
    const known = user.uid === 0 || (await this.#theirs.that((all) => all.has(id), user.uid)).has(id);
    return known ? [...((await this.find(id))?.nodes.keys() ?? [])] : [];
  }

  /** In which allocation a user runs who names none; null where it takes none. @throws `allocation-required` */
  async only(user: User): Promise<string | null> {
    if (!this.required || user.uid === 0) return null;
    const theirs = await this.#theirs.latest(user.uid);
    const ids = [...theirs].filter(([, active]) => active).map(([id]) => id);
    if (ids.length > 1) throw errors.severalOfYours(ids);
    const [id] = ids;
    if (id === undefined) throw errors.noneOfYours(this.options.node);
    return id;
  }
}
