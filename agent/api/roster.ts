/**
 * Who is in a cluster that its nodes have joined. Each entry is signed by the cluster's authority, so any node can pass it
 * on and none can forge it; of two about the same node the one with the higher number counts.
 */
import { createPrivateKey, type KeyObject, sign, verify } from 'node:crypto';
import { z } from 'zod';
import { list } from './bounded';
import { MOST_NODES } from './lists';
import { NodeName } from './model';
import { PinnedKey } from './pinned-key';

/** Of a signature over P-256 in DER, in base64. */
const MOST_SIGNATURE = 100;
/** Those of nodes that have gone stay, so that an older word does not bring them back. */
const MOST_ENTRIES = 4 * MOST_NODES;

export const RosterEntry = z.strictObject({
  /** Higher than all that the authority has signed before. */
  seq: z.int().min(1),
  name: NodeName,
  address: z.string().min(1).max(255),
  port: z.int().min(1).max(65_535),
  /** The pinned key of its certificate. */
  key: PinnedKey,
  /** Its agent has the authority's key: tokens, removals and new certificates come from there. */
  isAuthority: z.boolean(),
  /** It is no member any more. */
  removed: z.boolean(),
  signature: z.base64().max(MOST_SIGNATURE),
});
export type RosterEntry = z.infer<typeof RosterEntry>;

export const RosterEntries = list(RosterEntry, { most: MOST_ENTRIES });

/** As a node keeps it. */
export const StoredRoster = z.strictObject({
  entries: RosterEntries,
  /** All entries up to this one have been seen. */
  complete: z.int().min(0),
});
export type StoredRoster = z.infer<typeof StoredRoster>;

const signed = ({ seq, name, address, port, key, isAuthority, removed }: Omit<RosterEntry, 'signature'>) =>
  Buffer.from(JSON.stringify(['godwit roster', seq, name, address, port, key, isAuthority, removed]));

/** @param key the authority's private key, in PEM */
export const signEntry = (entry: Omit<RosterEntry, 'signature'>, key: string): RosterEntry => ({
  ...entry,
  signature: sign('sha256', signed(entry), createPrivateKey(key)).toString('base64'),
});

/** @param authority its public key */
export const isSigned = (entry: RosterEntry, authority: KeyObject): boolean =>
  verify('sha256', signed(entry), authority, Buffer.from(entry.signature, 'base64'));
