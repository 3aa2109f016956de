/**
 * Which agent may ask another what. A caller is a listed member: its certificate says which. Each request is judged here,
 * once, before anything is done; a method without an entry does not compile.
 */
import type { Caller, Handlers, Method, Params } from '../../api/contract';
import { asGodwitError, type GodwitError, jobMoving, noSuchJob, notHome, notYourJob } from '../../api/errors';
import type { User } from '../../api/model';
import { type PeerContract, peerContract } from '../../api/peer-contract';
import { notAMember } from '../../wire/errors';
import type { Allocations } from '../allocations/allocations';
import type { Ledger } from '../journal/journal';
import { type Acceptance, jobRefusal, requestRefusal } from './rights';

/** What this node knows of its callers and their jobs. */
export interface Standing {
  /** As its configuration has it now. */
  readonly acceptance: Acceptance;
  readonly allocations: Pick<Allocations, 'refusal'>;
  isMember(node: string): boolean;
  /** Whose job it is that is here, or is being launched or moved here; null where nothing of it is. */
  homeOf(job: string): string | null;
  /** As whom it runs, of a job that calls this node home; null if it knows no such job. */
  owner(job: string): Promise<User | null>;
  /** As the home that this node is; null if it knows no such job. */
  ledger(job: string): Promise<Ledger | null>;
}

interface Rule<P> {
  /**
   * - `member`: any listed node.
   * - `origin`: a node that passes on what a user asked there.
   * - `home`: of a job, the node that the copy here is known to have as its home.
   * - `host`: the node that the journal here has as the job's host, or, where said so, as a party to its moves.
   */
  who: 'member' | 'origin' | 'home' | 'host';
  /** Throws where `from` may not say it. */
  judge: (params: P, from: string, here: Standing) => void | Promise<void>;
}

function refuse(refusal: GodwitError | null): void {
  if (refusal) throw refusal;
}

const member: Rule<unknown> = { who: 'member', judge: () => {} };

const origin: Rule<{ as: User | null }> = {
  who: 'origin',
  judge: ({ as }, from, { acceptance }) => refuse(requestRefusal(acceptance, from, as)),
};

/** About a copy that is here. Where none is, it is on its way, or has left: its home will ask again. */
const home: Rule<{ job: string }> = {
  who: 'home',
  judge: ({ job }, from, { homeOf }) => {
    const known = homeOf(job);
    if (known === null) throw jobMoving(job);
    if (known !== from) throw notYourJob(job, from);
  },
};

/**
 * About a session with a stub. A stub outlives its job until its client knows the end; then nothing is noted of the
 * job here, and the session's id, which is a secret of its client's and the home's, is what identifies the caller.
 */
const homeOfSession: Rule<{ job: string; fresh?: boolean }> = {
  who: 'home',
  judge: (params, from, here) => {
    if (params.fresh || here.homeOf(params.job) !== null) return home.judge(params, from, here);
  },
};

/** A job that comes into being here. */
const newHome: Rule<{ job: string; home: string; user: User; allocation: string | null }> = {
  who: 'home',
  judge: async ({ job, user, home: named, allocation }, from, { homeOf, acceptance, allocations }) => {
    if (named !== from) throw notHome(from, named);
    if (homeOf(job) !== null) throw notYourJob(job, from);
    refuse(jobRefusal(acceptance, from, user));
    refuse(await allocations.refusal({ user, allocation }));
  },
};

/** A message of a move. Where nothing of the job is here there is nothing to be done, and that is answered. */
const homeOfMove: Rule<{ job: string; home: string }> = {
  who: 'home',
  judge: ({ job, home: named }, from, { homeOf }) => {
    if (named !== from) throw notHome(from, named);
    if ((homeOf(job) ?? from) !== from) throw notYourJob(job, from);
  },
};

/** Only `prepare` brings a job here; the other messages are about what is here, and must get through. */
const homeOfArrival: Rule<Params<PeerContract, 'move.toDestination'>> = {
  who: 'home',
  judge: async (params, from, here) => {
    homeOfMove.judge(params, from, here);
    if (params.message.type !== 'prepare') return;
    refuse(jobRefusal(here.acceptance, from, params.terms.user));
    refuse(await here.allocations.refusal(params.terms));
  },
};

/** The job is there, by the journal: not a node that it has left, or that it has yet to come to. */
const host: Rule<{ job: string }> = {
  who: 'host',
  judge: async ({ job }, from, here) => {
    const ledger = await here.ledger(job);
    if (!ledger) throw noSuchJob(job);
    if (ledger.host !== from) throw notYourJob(job, from);
  },
};

/** Its host passes on what a program of the job asks: it must have the job, and be one whose users' requests count. */
const launcher: Rule<{ job: string }> = {
  who: 'host',
  judge: async (params, from, here) => {
    await host.judge(params, from, here);
    refuse(requestRefusal(here.acceptance, from, await here.owner(params.job)));
  },
};

/** The host, either end of a move that is not over, or a node that has still to clear something away. */
const party: Rule<{ job: string }> = {
  who: 'host',
  judge: async ({ job }, from, here) => {
    const ledger = await here.ledger(job);
    // A home that lost its journal answers anybody that it knows nothing.
    if (!ledger) return;
    const { open, debts } = ledger;
    const parties = [ledger.host, open?.move.from, open?.move.to, ...debts.map(({ node }) => node)];
    if (!parties.includes(from)) throw notYourJob(job, from);
  },
};

/** One of those has the copy that a person lets run, one who may do that: by the same rule as for any request of theirs. */
const adopter: Rule<{ job: string; as: User | null }> = {
  who: 'host',
  judge: async (params, from, here) => {
    origin.judge(params, from, here);
    await party.judge(params, from, here);
  },
};

export const CALLERS: { readonly [M in Method<PeerContract>]: Rule<Params<PeerContract, M>> } = {
  'jobs.kill': origin,
  'jobs.pin': origin,
  'jobs.balance': origin,
  'jobs.type': origin,
  'jobs.migrate': origin,
  'jobs.console': origin,
  'jobs.wait': origin,
  'jobs.why': origin,
  'jobs.stacks': origin,
  'jobs.placed': origin,
  'node.rules': origin,
  'jobs.history': origin,
  'jobs.show': origin,
  'home.debug': origin,
  'home.debugGone': origin,

  'node.status': member,
  'node.gossip': member,
  'node.changed': member,
  // Of a job that could come from anywhere.
  'node.preflight': member,
  // Everybody sees the lists.
  'home.view': member,
  'home.jobs': member,
  'home.find': member,
  'home.arrays': member,
  'home.history': member,

  'home.adopted': adopter,
  'home.launch': launcher,
  'home.ended': host,
  'home.outcome': party,
  'home.files': party,

  'host.launch': newHome,
  // Answered for the caller's own jobs.
  'host.jobStatus': member,
  'host.uses': member,
  'balance.ask': member,
  'balance.room': member,
  'balance.leave': member,
  'balance.over': member,
  'host.kill': home,
  'host.type': home,
  'host.stacks': home,
  'host.preflight': home,
  'host.debug': homeOfSession,
  'host.debugGone': homeOfSession,
  // Signed by the authority: it does not matter which member tells it.
  'cluster.entries': member,
  'cluster.tell': member,
  // About the caller itself.
  'cluster.moved': member,
  'cluster.renew': member,
  'cluster.left': member,

  'move.toSource': homeOfMove,
  'move.toDestination': homeOfArrival,
};

/** Refusals of callers that did nothing wrong: the job has moved on since. */
const ORDINARY: ReadonlySet<string> = new Set(['job-moving', 'no-such-job']);

/** The handlers, none of which is reached by a caller who may not. `refused` is called for each who tries. */
export function judged(
  handlers: Handlers<PeerContract>,
  here: Standing,
  refused: (from: string, method: string, why: GodwitError) => void,
): Handlers<PeerContract> {
  const judge = async <M extends Method<PeerContract>>(
    method: M,
    params: Params<PeerContract, M>,
    caller: Caller,
  ) => {
    try {
      if (!here.isMember(caller.name)) throw notAMember(caller.name);
      await CALLERS[method].judge(params, caller.name, here);
    } catch (error) {
      const why = asGodwitError(error);
      if (!ORDINARY.has(why.code)) refused(caller.name, method, why);
      throw why;
    }
    return handlers[method](params, caller);
  };
  const methods = Object.keys(peerContract) as Method<PeerContract>[];
  const wrapped = methods.map((method) => [
    method,
    (params: never, caller: Caller) => judge(method, params, caller),
  ]);
  return Object.fromEntries(wrapped) as Handlers<PeerContract>;
}
