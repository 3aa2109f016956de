/** What a node has of the cluster that it has joined; a node whose configuration names its members has none of it. */
import { existsSync } from 'node:fs';
import { clusterFiles } from '../../api/cluster-files';
import type { AgentConfig } from '../../api/config';
import type { Log } from '../../log';
import { authorityIn } from '../../machine/certificates/authority';
import type { TlsIdentity } from '../../wire/tls';
import { announce } from './announcement';
import { Authority } from './authority';
import { JoinDoor } from './join-door';
import type { Peers } from './peers';
import type { Roster } from './roster';
import { RosterExchange } from './roster-exchange';
import { Tokens } from './tokens';

/** The port at which machines join is the one after the agent's own. */
export const joinPort = ({ port }: { port: number }): number => port + 1;

export interface Issuing {
  authority: Authority;
  tokens: Tokens;
  door: JoinDoor;
}

export interface Joined {
  roster: Roster;
  exchange: RosterExchange;
  /** Null on a node without the authority's key. */
  issuing: Issuing | null;
}

export interface JoinedParts {
  config: Pick<AgentConfig, 'name' | 'state' | 'listen'>;
  roster: Roster;
  peers: Peers;
  tls: TlsIdentity;
  /** The members are others now. */
  changed: () => void;
  log: Log;
}

export async function joined({ config, roster, peers, tls, changed, log }: JoinedParts): Promise<Joined> {
  const { name, state, listen } = config;
  const exchange = new RosterExchange({ node: name, roster, peers, changed, log });
  const files = clusterFiles(state);
  const keys = authorityIn(files.authority);
  if (!existsSync(keys.key)) return { roster, exchange, issuing: null };
  const tokens = await Tokens.open(files.tokens);
  const authority = new Authority({
    ...{ files: keys, roster, tokens },
    changed: (entries) => {
      changed();
      void exchange.tell(entries);
    },
  });
  const port = joinPort(listen);
  const door = new JoinDoor({
    ...{ name, host: listen.host, port, tls, authority, tokens, log },
    announce: () => announce({ name, address: roster.entry(name)?.address ?? listen.host, port }, log),
  });
  return { roster, exchange, issuing: { authority, tokens, door } };
}
