/** What a batch system has given a user: some nodes, a part of each, for a while. */
import type { Share } from '../../api/model';

export interface Allocation {
  id: string;
  uid: number;
  /** It can be used now. */
  active: boolean;
  /** For good: what runs in it is to end. One that is held up for a while is neither. */
  over: boolean;
  /** By their names; of one that is over none. */
  nodes: ReadonlyMap<string, Share>;
}

/** Who knows of allocations. What is asked of it fails where it does not answer: that says nothing about any allocation. */
export interface AllocationSource {
  /** In messages. */
  readonly name: string;
  /** Null where there is none of that name, or none any more. */
  find(id: string): Promise<Allocation | null>;
  /** Those of a user that are not over; their nodes are asked for one by one. */
  of(uid: number): Promise<Pick<Allocation, 'id' | 'active'>[]>;
  /** Those of these nodes on which nothing new is to begin. */
  draining(nodes: readonly string[]): Promise<ReadonlySet<string>>;
}
