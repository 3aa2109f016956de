/** The joiner's side of joining: it proves that it has the token's secret, and has the other side prove it first. */
import type { TLSSocket } from 'node:tls';
import type { Result } from '../api/contract';
import { asGodwitError, type GodwitError } from '../api/errors';
import { type JoinContract, joinContract } from '../api/join-contract';
import { type Place, proofOf, type Token } from '../api/token';
import { type Client, connectStrange } from '../wire/client';
import { bindingOf, keyOfCertificate, strangeServer } from '../wire/tls';
import { discover } from './discovery';
import { noneAnnounced, noneReached, otherCluster } from './errors';

export interface Entry extends Result<JoinContract, 'join.enter'> {
  /** The node is up: it is a member for good. */
  done(): Promise<void>;
  /** Before `done`: it is none, and the token is good again. */
  close(): void;
}

export interface Joiner {
  name: string;
  address: string;
  port: number;
  /** For a certificate, in PEM. */
  request: string;
}

/** Errors after which another address of the token's may do better. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  'node-unreachable',
  'timeout',
  'connection-lost',
  'no-hello',
]);
/** What another cluster says to a token that is not its own. */
const NOT_THIS: ReadonlySet<string> = new Set(['other-cluster', 'no-such-token']);
/** The authority makes a certificate, and writes it all down; on a busy machine that takes a while. */
const ENTER_TIMEOUT_MS = 60_000;

/**
 * @throws GodwitError `other-cluster`, `cluster-unreachable`, `none-announced`, `wrong-version`, and what the authority refuses: see
 *   cluster/authority.ts
 */
export async function enter(token: Token, joiner: Joiner): Promise<Entry> {
  const tries: string[] = [];
  const known = token.places.length > 0;
  const places = known ? token.places : await discover(joiner.address);
  if (places.length === 0) throw noneAnnounced();
  for (const place of places) {
    try {
      return await enterAt(place, token, joiner);
    } catch (error) {
      const why = asGodwitError(error);
      // Of what is only announced, any may be another cluster's.
      if (!ELSEWHERE.has(why.code) && (known || !NOT_THIS.has(why.code))) throw why;
      tries.push(why.message);
    }
  }
  throw noneReached(tries);
}

async function enterAt(place: Place, { id, secret, authority }: Token, joiner: Joiner): Promise<Entry> {
  const where = `${place.host}:${place.port}`;
  let binding: Buffer | null = null;
  const trust = (socket: TLSSocket): GodwitError | null => {
    const strange = strangeServer(socket, authority);
    if (strange) return otherCluster(where, strange);
    binding = bindingOf(socket);
    return null;
  };
  const endpoint = { address: place.host, port: place.port, trust };
  const client = await connectStrange(endpoint, { name: joiner.name, kind: 'agent', contract: joinContract });
  try {
    const { proof } = await client.call('join.prove', { token: id });
    if (proof !== proofOf(secret, 'authority', binding!))
      throw otherCluster(where, 'it does not know the secret');
    const mine = { token: id, proof: proofOf(secret, 'joiner', binding!), ...joiner };
    const answer = await client.call('join.enter', mine, { timeoutMs: ENTER_TIMEOUT_MS });
    if (authority !== null && keyOfCertificate(answer.authority) !== authority)
      throw otherCluster(where, 'it gives the certificate of another');
    return { ...answer, ...endings(client) };
  } catch (error) {
    client.close();
    throw error;
  }
}

const endings = (client: Client<JoinContract>): Pick<Entry, 'done' | 'close'> => ({
  done: async () => {
    await client.call('join.done', {});
    client.close();
  },
  close: () => client.close(),
});
