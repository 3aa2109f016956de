import type { Tickets } from '../../wire/tickets';
import type { Peers } from '../cluster/peers';
import type { Host, HostOptions } from '../jobs/host';
import type { Journal } from '../journal/journal';
import type { FaultPoints } from './fault-points';

/** What the executors of a move work with on a node: what its host has, and more. */
export interface MoveContext extends HostOptions {
  host: Pick<Host, 'lookAfter'>;
  journal: Journal;
  peers: Peers;
  tickets: Tickets;
  criu: () => Promise<string>;
  points: FaultPoints;
  /** Something of a move has changed that is not in the journal. */
  changed: () => void;
}

/** What must be done is tried again after these pauses. */
export const PAUSES = { firstMs: 100, mostMs: 5_000 };

/** Each debugged process takes some 50 ms. */
export const UNPARK_LIMIT_MS = 120_000;

/** CRIU needs a PATH for the tools it calls, and nothing else. */
export const CRIU_ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
