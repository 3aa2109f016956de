import type { Tickets } from '../api/tickets';
import type { AgentConfig } from '../cluster/config';
import type { Members } from '../cluster/members';
import type { Peers } from '../cluster/peers';
import type { Home } from '../jobs/home';
import type { Host } from '../jobs/host';
import type { Layout } from '../jobs/layout';
import type { Moves } from '../migration/moves';

/** What requests are answered with. */
export interface NodeParts {
  config: AgentConfig;
  speed: number;
  layout: Layout;
  peers: Peers;
  tickets: Tickets;
  members: Members;
  host: Host;
  home: Home;
  moves: Moves;
  log: (line: string) => void;
}
