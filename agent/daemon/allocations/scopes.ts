/**
 * What of the cluster a client sees and works with. Within an allocation that is the allocation: a client says in which one
 * it is, and can only narrow by that what its user may do anyway. Where users need allocations, each sees their own jobs.
 */

import type { ClusterSnapshot } from '../../api/client-events';
import type { Caller, CallerConnection } from '../../api/contract';
import { type Job, ROOT, type User } from '../../api/model';
import type { Narrowed } from '../../api/peer-contract';
import type { Allocations, Placement } from './allocations';
import * as errors from './errors';

type Asker = Pick<Caller, 'user' | 'connection'>;
type Seen = Pick<Job, 'user' | 'allocation'>;

interface Entered {
  id: string;
  nodes: readonly string[];
}

export class Scope {
  constructor(
    private readonly entered: Entered | null,
    /** Whose jobs alone are seen; null for all. */
    private readonly owner: User | null,
  ) {}

  /** For other nodes, each of which has a part of what is asked for. */
  get narrowed(): Narrowed | undefined {
    if (!this.entered && !this.owner) return undefined;
    return { allocation: this.entered?.id ?? null, uid: this.owner?.uid ?? null };
  }

  get allocation(): string | null {
    return this.entered?.id ?? null;
  }

  sees(job: Seen): boolean {
    if (this.entered && job.allocation !== this.entered.id) return false;
    return !this.owner || job.user === this.owner.name;
  }

  seesNode(name: string): boolean {
    return !this.entered || this.entered.nodes.includes(name);
  }

  snapshot(whole: ClusterSnapshot): ClusterSnapshot {
    const jobs = whole.jobs.filter((job) => this.sees(job));
    const ids = new Set(jobs.map(({ id }) => id));
    return {
      ...whole,
      jobs,
      nodes: whole.nodes.filter(({ name }) => this.seesNode(name)),
      moves: whole.moves.filter(({ job }) => ids.has(job)),
    };
  }
}

export class Scopes {
  readonly #entered = new WeakMap<CallerConnection, Entered>();

  constructor(private readonly allocations: Allocations) {}

  /** From now on this connection is within the allocation. @returns its nodes; null where there are no allocations */
  async enter({ user = ROOT, connection }: Asker, id: string): Promise<readonly string[] | null> {
    if (!this.allocations.inForce) return null;
    const found = await this.allocations.find(id);
    if (found && user.uid !== 0 && found.uid !== user.uid) throw errors.notYourAllocation(id);
    // One that is over can still be looked at.
    const nodes = [...(found?.nodes.keys() ?? [])];
    if (connection) this.#entered.set(connection, { id, nodes });
    return nodes;
  }

  of({ user, connection }: Asker): Scope {
    const entered = (connection && this.#entered.get(connection)) ?? null;
    const isRoot = !user || user.uid === 0;
    return new Scope(entered, this.allocations.required && !isRoot ? user : null);
  }

  /** Where this client may begin something; null for anywhere. @throws why it may not */
  async placement(caller: Asker): Promise<Placement | null> {
    const { user = ROOT } = caller;
    const id = this.of(caller).allocation ?? (await this.allocations.only(user));
    return id === null ? null : this.allocations.placement(user, id);
  }
}
