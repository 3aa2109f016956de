/** Where a node that has joined a cluster keeps what makes it a member, below its state folder. */
import { join } from 'node:path';

export const clusterFiles = (state: string) => ({
  /** Of its certificate, its key and the authority's certificate. */
  tls: join(state, 'tls'),
  roster: join(state, 'cluster', 'roster.json'),
  /** Of the authority's key, where this node has it. */
  authority: join(state, 'authority'),
  tokens: join(state, 'authority', 'tokens.json'),
});
