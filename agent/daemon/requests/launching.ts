/** Jobs that begin with this node as their home: for a user who asks here, and for jobs of this home whose programs ask. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientContract } from '../../api/client-contract';
import type { Params } from '../../api/contract';
import { asGodwitError, GodwitError, jobEnded, notOnNode } from '../../api/errors';
import type { Job, LaunchRequest, Limits, User } from '../../api/model';
import type { Allocations, Placement } from '../allocations/allocations';
import type { Peers } from '../cluster/peers';
import type { Arrays, LaunchedArray } from '../jobs/arrays';
import type { Groups } from '../jobs/groups';
import type { Home } from '../jobs/home';
import type { HomedJobs } from '../jobs/homed-jobs';
import type { HomedJob, Journal } from '../journal/journal';
import type { Choosing } from './choice';
import { NOT_LAUNCHED_THERE } from './launched';
import { assertPlaces, hostFor } from './places';
import type { Queue } from './queue';

type ArrayRequest = Params<ClientContract, 'jobs.runArray'>;

/** A launch that an earlier run of the agent began is settled when its host answers (jobs/home.ts). */
const SETTLED_MS = 30_000;
const SETTLED_POLL_MS = 100;

export interface LaunchingParts extends Choosing {
  home: Home;
  peers: Peers;
  lists: HomedJobs;
  groups: Groups;
  arrays: Arrays;
  queue: Queue;
  journal: Pick<Journal, 'launchedBy'>;
  allocations: Allocations;
  /** May this user, by number, ask this node's agent? */
  admits: (uid: number) => boolean;
}

export class Launching {
  /** Of those that are under way, by user and token. */
  readonly #underWay = new Map<string, Promise<Job>>();

  constructor(private readonly parts: LaunchingParts) {}

  /** For a user who asks here. */
  launch(request: LaunchRequest, user: User, allocation: Placement | null): Promise<Job> {
    const { group, ...rest } = request;
    return this.#once(user, request.token, () =>
      this.#launch(rest, { user, allocation, group: group === undefined ? undefined : { name: group } }),
    );
  }

  /** The same for many of one request. */
  async launchArray(
    { count, ...request }: ArrayRequest,
    user: User,
    allocation: Placement | null,
  ): Promise<LaunchedArray> {
    const { arrays, queue } = this.parts;
    const id = allocation?.id ?? null;
    if (request.queue) {
      assertPlaces(this.parts, request, allocation);
      return queue.addArray(request, count, user, id);
    }
    const hosts: string[] = [];
    // One after the other: each counts where the next is to begin.
    while (hosts.length < count) hosts.push(await hostFor(this.parts, request, allocation));
    return arrays.run(request, user, hosts, id);
  }

  /**
   * For a program of a job of this home: a job of the same user, with no more than the one that asks has.
   * @throws `job-ended`, `not-admitted-any-more`, `not-on-node`, and why it could not be launched
   */
  async launchFor(parent: HomedJob, { group: named, ...request }: LaunchRequest): Promise<Job> {
    const { user, allocation: id, group } = parent.spec;
    if (parent.state !== 'running') throw jobEnded(parent.id);
    if (user.uid !== 0 && !this.parts.admits(user.uid)) throw notAdmittedAnyMore(user.name);
    return this.#once(user, request.token, async () => {
      const { allocations } = this.parts;
      const allocation = id !== null && allocations.inForce ? await allocations.placement(user, id) : null;
      const begun = named === undefined ? undefined : { name: named };
      const job = await this.#launch(within(parent, request), { user, allocation, group: group ?? begun });
      // The group may have come to its end while this was launched.
      if (group) void this.parts.groups.review(group.id);
      return job;
    });
  }

  /** A request that is repeated gets the job that the first has launched. */
  #once(user: User, token: string | undefined, launch: () => Promise<Job>): Promise<Job> {
    if (token === undefined) return launch();
    const key = `${user.uid} ${token}`;
    const found = this.#underWay.get(key);
    if (found) return found;
    const launched = this.#launched(user, token).then((job) => job ?? launch());
    this.#underWay.set(key, launched);
    const over = () => this.#underWay.delete(key);
    launched.then(over, over);
    return launched;
  }

  async #launched(user: User, token: string): Promise<Job | null> {
    const { journal, lists } = this.parts;
    const until = performance.now() + SETTLED_MS;
    for (;;) {
      const job = await journal.launchedBy(user.uid, token);
      if (!job) return null;
      if (job.state !== 'starting' || job.queuedSince !== null) return lists.one(job);
      if (performance.now() > until) throw unsettled(job.id);
      await sleep(SETTLED_POLL_MS);
    }
  }

  async #launch(request: Ungrouped, { user, allocation, group }: Who): Promise<Job> {
    const { home, lists, node, queue } = this.parts;
    const id = allocation?.id ?? null;
    const begun = { token: request.token, group };
    if (request.queue) {
      assertPlaces(this.parts, request, allocation);
      return lists.one(await queue.add(request, user, id, begun));
    }
    const host = await hostFor(this.parts, request, allocation);
    const begin = (where: string) => home.run(request, { user, host: where, allocation: id, ...begun });
    const launched = begin(host);
    if (host === node || request.node !== 'auto' || request.nodes || allocation) return launched;
    // The place was this node's own choice: a node that takes no such job is no reason to launch none.
    return launched.catch((error) => {
      if (!NOT_LAUNCHED_THERE.has(asGodwitError(error).code)) throw error;
      return begin(node);
    });
  }
}

type Ungrouped = Omit<LaunchRequest, 'group'>;

/** For whom, and as what. */
interface Who {
  user: User;
  allocation: Placement | null;
  /** One that there is, or, without an id, one that begins with this job. */
  group: { id?: string; name: string } | undefined;
}

/** The request with bounds that are nowhere wider than those of the job that makes it. @throws `not-on-node` */
function within({ spec }: HomedJob, request: Ungrouped): Ungrouped {
  const { nodes } = spec;
  const outside = request.nodes?.find((name) => nodes && !nodes.includes(name));
  if (outside !== undefined) throw notOnNode(outside, nodes!);
  const limits: Limits = { ...request.limits };
  for (const name of ['cpus', 'memory', 'processes'] as const) {
    const most = spec.limits[name];
    if (most !== undefined) limits[name] = Math.min(limits[name] ?? most, most);
  }
  const only = request.nodes ?? nodes;
  return { ...request, limits, ...(only === undefined ? {} : { nodes: only }) };
}

const notAdmittedAnyMore = (user: string) =>
  new GodwitError({
    code: 'not-admitted',
    message: `${user} is not admitted to the job's home any more: nothing is launched`,
    fix: 'ask its administrator for the group godwit',
  });

const unsettled = (job: string) =>
  new GodwitError({
    code: 'launch-unsettled',
    message: `whether job ${job} was launched is not known: its host has not said so for ${SETTLED_MS / 1000} s`,
    fix: 'see `godwit ps`; ask again when that node answers',
  });
