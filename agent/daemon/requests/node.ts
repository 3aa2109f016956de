import type { FixedConfig } from '../../api/config';
import type { Log } from '../../log';
import type { Tickets } from '../../wire/tickets';
import type { Changes } from '../cluster/changes';
import type { Members } from '../cluster/members';
import type { Refusals } from '../cluster/membership';
import type { Peers } from '../cluster/peers';
import type { Settings } from '../cluster/settings';
import type { ClusterWatch } from '../cluster/watch';
import type { ServedFiles } from '../homefs/served';
import type { Home } from '../jobs/home';
import type { Host } from '../jobs/host';
import type { Layout } from '../jobs/layout';
import type { Stops } from '../jobs/stops';
import type { Moves } from '../migration/moves';
import type { View } from './view';

/** What requests are answered with. */
export interface NodeParts {
  config: FixedConfig;
  settings: Settings;
  refusals: Refusals;
  speed: number;
  layout: Layout;
  peers: Peers;
  tickets: Tickets;
  members: Members;
  host: Host;
  home: Home;
  served: ServedFiles;
  moves: Moves;
  changes: Changes;
  stops: Stops;
  view: View;
  watch: ClusterWatch;
  log: Log;
}
