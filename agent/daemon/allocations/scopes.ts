/**
 * What of the cluster a client sees and works with. Within an allocation that is the allocation: a client says in which one
 * it is, and can only narrow by that what its user may do anyway. Where users need allocations, each sees their own jobs.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClusterSnapshot } from '../../api/client-events';
import type { Caller, CallerConnection } from '../../api/contract';
import { type Job, ROOT, type User } from '../../api/model';
import type { Narrowed } from '../../api/peer-contract';
import type { Allocations, Placement } from './allocations';

/** A person who only looks does not wait for a batch system that is away: then all nodes are shown. */
const LOOK_MS = 3_000;

type Asker = Pick<Caller, 'user' | 'connection'>;
type Seen = Pick<Job, 'user' | 'allocation'>;

export class Scope {
  constructor(
    readonly allocation: string | null,
    /** Whose jobs alone are seen; null for all. */
    private readonly owner: User | null,
  ) {}

  /** For other nodes, each of which has a part of what is asked for. */
  get narrowed(): Narrowed | undefined {
    if (this.allocation === null && !this.owner) return undefined;
    return { allocation: this.allocation, uid: this.owner?.uid ?? null };
  }

  sees(job: Seen): boolean {
    if (this.allocation !== null && job.allocation !== this.allocation) return false;
    return !this.owner || job.user === this.owner.name;
  }

  snapshot(whole: ClusterSnapshot, seesNode: (name: string) => boolean): ClusterSnapshot {
    const jobs = whole.jobs.filter((job) => this.sees(job));
    const ids = new Set(jobs.map(({ id }) => id));
    return {
      ...whole,
      jobs,
      nodes: whole.nodes.filter(({ name }) => seesNode(name)),
      moves: whole.moves.filter(({ job }) => ids.has(job)),
    };
  }
}

export class Scopes {
  readonly #entered = new WeakMap<CallerConnection, string>();

  constructor(private readonly allocations: Allocations) {}

  /** From now on this connection is within the allocation. False where there are none, and nothing is narrowed. */
  enter({ connection }: Asker, id: string): boolean {
    if (!this.allocations.inForce || !connection) return false;
    this.#entered.set(connection, id);
    return true;
  }

  of({ user, connection }: Asker): Scope {
    const entered = (connection && this.#entered.get(connection)) ?? null;
    const isRoot = !user || user.uid === 0;
    const isNarrowed = entered !== null || this.allocations.required;
    return new Scope(entered, isNarrowed && !isRoot ? user : null);
  }

  /** Which nodes the client sees. */
  async nodes(asker: Asker): Promise<(name: string) => boolean> {
    const { allocation } = this.of(asker);
    if (allocation === null) return () => true;
    const nodes = await Promise.race([
      this.allocations.nodesOf(asker.user ?? ROOT, allocation).catch(() => null),
      sleep(LOOK_MS, null, { ref: false }),
    ]);
    return (name) => nodes?.includes(name) ?? true;
  }

  /** Where this client may begin something; null for anywhere. @throws why it may not */
  async placement(asker: Asker): Promise<Placement | null> {
    const { user = ROOT } = asker;
    const id = this.of(asker).allocation ?? (await this.allocations.only(user));
    return id === null ? null : this.allocations.placement(user, id);
  }
}
