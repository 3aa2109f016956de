/** What a node answers about who is in its cluster: to its clients, and to the other members. */
import type { ClientContract, ClusterStatus } from '../../api/client-contract';
import type { FixedConfig } from '../../api/config';
import type { Caller, Handlers } from '../../api/contract';
import { GodwitError, rootOnly } from '../../api/errors';
import type { PeerContract } from '../../api/peer-contract';
import { writeToken } from '../../api/token';
import type { KeeperWatch } from '../../keeper/watch';
import { keyOfCertificate, type TlsIdentity } from '../../wire/tls';
import { authorityStays, hasJobs, noAuthorityHere, notJoined } from '../cluster/errors';
import { type Issuing, type Joined, joinPort } from '../cluster/joined';
import type { Members } from '../cluster/members';
import type { Peers } from '../cluster/peers';
import { expiryOf } from '../cluster/renewal';
import type { Copies } from '../jobs/copies';
import type { Journal } from '../journal/journal';
import { isRoot } from './rights';

/** In an error. */
const MOST_SHOWN = 10;
const SOON = { timeoutMs: 5_000 };

export interface ClusterParts {
  config: FixedConfig;
  /** Null on a node whose members are those of its configuration. */
  joined: Joined | null;
  tls: TlsIdentity;
  members: Members;
  peers: Peers;
  journal: Pick<Journal, 'jobs'>;
  copies: Pick<Copies, 'jobs'>;
  keepers: Pick<KeeperWatch, 'other'>;
}

export function clusterAnswers(parts: ClusterParts) {
  const { config, peers } = parts;
  const joined = (): Joined => {
    if (!parts.joined) throw notJoined(config.name);
    return parts.joined;
  };
  const issuing = (): Issuing => {
    const { issuing, roster } = joined();
    if (!issuing) throw noAuthorityHere(config.name, roster.authorityNode);
    return issuing;
  };
  const withdraw = async (node: string) => {
    const entry = await issuing().authority.remove(node);
    return { unheard: await joined().exchange.tell([entry]) };
  };

  const client: Pick<
    Handlers<ClientContract>,
    Extract<keyof ClientContract, `cluster.${'token' | 'remove' | 'leave' | 'status'}`>
  > = {
    'cluster.token': async ({ ttlMs }, caller) => {
      assertRoot(caller, 'a token');
      const { authority, door } = issuing();
      const { id, secret, expires } = await authority.issue(ttlMs);
      await door.review();
      const { address } = joined().roster.entry(config.name)!;
      const places = [{ host: address, port: joinPort(config.listen) }];
      const token = writeToken({ places, authority: keyOfCertificate(parts.tls.ca), id, secret });
      return { token, expires };
    },
    'cluster.remove': async ({ node, force }, caller) => {
      assertRoot(caller, 'the removal of a node');
      const { roster } = joined();
      if (node === config.name) throw authorityStays(node, othersIn(roster.members, node));
      issuing();
      if (!force) await assertIdle(node, peers);
      return withdraw(node);
    },
    'cluster.leave': async ({ force }, caller) => {
      assertRoot(caller, "a node's leaving");
      const { roster, issuing } = joined();
      const others = othersIn(roster.members, config.name);
      if (!force) assertNoJobs(config.name, await jobsHere(parts));
      if (issuing && others.length > 0) throw authorityStays(config.name, others);
      const authority = roster.authorityNode;
      if (issuing || authority === null) return { unheard: [] };
      const left = takeLeave(peers, authority);
      // Who insists may go without a word: the others list it until it is removed.
      return force ? left.catch(() => ({ unheard: others })) : left;
    },
    'cluster.status': async (_params, { user }) => statusOf(parts, joined(), isRoot(user)),
  };

  const peer: Pick<Handlers<PeerContract>, Extract<keyof PeerContract, `cluster.${string}`>> = {
    'cluster.entries': ({ since }) => {
      const { roster } = joined();
      return { entries: roster.since(since), complete: roster.complete };
    },
    'cluster.tell': async ({ entries }) => {
      await joined().exchange.take(entries);
      return {};
    },
    'cluster.moved': async (place, { name }) => {
      await issuing().authority.move(name, place);
      return {};
    },
    'cluster.renew': async ({ request }, { name }) => ({
      certificate: await issuing().authority.renew(name, request),
    }),
    'cluster.left': (_params, { name }) => withdraw(name),
  };
  return { client, peer };
}

/** The connection may be cut before the answer is through: who is no member any more has been heard. */
async function takeLeave(peers: Peers, authority: string): Promise<{ unheard: string[] }> {
  try {
    return await peers.call(authority, 'cluster.left', {}, SOON);
  } catch (error) {
    const again = await peers.call(authority, 'cluster.left', {}, SOON).catch((later: GodwitError) => later);
    if (!(again instanceof GodwitError)) return again;
    if (again.code === 'not-a-member') return { unheard: [] };
    throw error;
  }
}

function assertRoot({ user }: Caller, what: string): void {
  if (!isRoot(user)) throw rootOnly(what);
}

const othersIn = (members: readonly { name: string }[], node: string): string[] =>
  members.map(({ name }) => name).filter((name) => name !== node);

async function jobsHere({ journal, copies }: ClusterParts): Promise<string[]> {
  const homed = await journal.jobs({ ended: false });
  return [...new Set([...homed.map(({ id }) => id), ...copies.jobs])];
}

/** One that does not answer may be gone for good: whatever it had is lost already. @throws GodwitError `has-jobs` */
async function assertIdle(node: string, peers: Peers): Promise<void> {
  try {
    const [{ jobs: guests }, { jobs }] = await Promise.all([
      peers.call(node, 'node.status', {}, SOON),
      peers.call(node, 'home.jobs', { ended: false, after: 0, bytes: 0 }, SOON),
    ]);
    if (guests > 0) throw hasJobs(node, [`${guests} there`]);
    assertNoJobs(
      node,
      jobs.map(({ id }) => id),
    );
  } catch (error) {
    if (error instanceof GodwitError && error.code === 'has-jobs') throw error;
  }
}

function assertNoJobs(node: string, jobs: string[]): void {
  if (jobs.length > 0) throw hasJobs(node, jobs.slice(0, MOST_SHOWN));
}

async function statusOf(
  { config, tls, members, keepers }: ClusterParts,
  { roster, issuing }: Joined,
  isRoot: boolean,
): Promise<ClusterStatus> {
  return {
    name: config.name,
    authority: keyOfCertificate(tls.ca),
    authorityNode: roster.authorityNode,
    ...(keepers.other ? { keeper: keepers.other } : {}),
    certificateExpires: expiryOf(tls.cert).toISOString(),
    nodes: roster.members.map(({ name, address, port }) => ({
      name,
      address,
      port,
      state: members.state(name),
    })),
    tokens: isRoot ? (issuing?.tokens.good.map(({ id, expires }) => ({ id, expires })) ?? []) : [],
  };
}
