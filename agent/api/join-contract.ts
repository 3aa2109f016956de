/** What a machine that joins a cluster and the cluster's authority say to each other, on a connection of its own. */
import { z } from 'zod';
import type { Contract } from './contract';
import { NodeName } from './model';
import { RosterEntries, RosterEntry } from './roster';
import { Proof, TokenId } from './token';

/** A certificate or a request for one, of a key on a curve. */
const MOST_PEM = 8_192;
export const Pem = z.string().min(1).max(MOST_PEM);

export const joinContract = {
  /** First: whom the joiner talks to. */
  'join.prove': { params: z.object({ token: TokenId }), result: z.object({ proof: Proof }) },
  /**
   * The joiner is a member from the answer on, for as long as this connection lasts; after `join.done` for good. Until
   * then the token is good for another try.
   */
  'join.enter': {
    params: z.object({
      token: TokenId,
      proof: Proof,
      name: NodeName,
      /** Where the other nodes are to find it. */
      ...RosterEntry.pick({ address: true, port: true }).shape,
      /** For a certificate (RFC 2986). */
      request: Pem,
    }),
    result: z.object({ certificate: Pem, authority: Pem, roster: RosterEntries }),
  },
  'join.done': { params: z.object({}), result: z.object({}) },
} as const satisfies Contract;
export type JoinContract = typeof joinContract;
