/** The agent: what a node decides. It may be ended at any time; what it needs to go on is in its journal and keeper. */
import { EventEmitter, once as onceEmitted } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { getPriority } from 'node:os';
import { dirname, join } from 'node:path';
import { clientContract } from '../api/client-contract';
import { clusterFiles } from '../api/cluster-files';
import { type FixedConfig, loadConfig } from '../api/config';
import { asGodwitError } from '../api/errors';
import { peerContract } from '../api/peer-contract';
import { keeperContract } from '../keeper/contract';
import { KeeperLink } from '../keeper/link';
import { KeeperWatch } from '../keeper/watch';
import { DaemonLog, endWith, logFailures } from '../log';
import { NodeDemand, quotaFolder } from '../machine/cgroup/demand';
import { nodeCgroup } from '../machine/cgroup/hierarchy';
import { sweepAccounts } from '../machine/cgroup/limits';
import { NodeMemory } from '../machine/cgroup/node-memory';
import { findCriu } from '../machine/criu/criu';
import { runAhead } from '../machine/daemons/ahead';
import { sharedMounts } from '../machine/homefs/shared';
import { JobNetworks } from '../machine/network/interface';
import { startProgramsBy } from '../machine/spawner';
import { allowanceOf } from '../wire/allowance';
import { type Server, serveTls, serveUnix } from '../wire/server';
import { Tickets } from '../wire/tickets';
import { loadTls, readCertificate, type TlsIdentity } from '../wire/tls';
import { Allocations } from './allocations/allocations';
import { Scopes } from './allocations/scopes';
import { Slurm } from './allocations/slurm';
import { Gate } from './balance/gate';
import { Changes } from './cluster/changes';
import { type Joined, joined } from './cluster/joined';
import { Members, measureSpeed } from './cluster/members';
import { MembersFile } from './cluster/members-file';
import { checkOwnCertificate, Refusals, refusal } from './cluster/membership';
import { Rules } from './cluster/node-rules';
import { Peers } from './cluster/peers';
import { Place, presentPlace } from './cluster/place';
import { Renewal } from './cluster/renewal';
import { Roster } from './cluster/roster';
import { Settings } from './cluster/settings';
import { readUsers } from './cluster/users';
import { watchOver } from './cluster/watch/watch-over';
import { Daemons } from './homefs/daemons';
import { MountedFiles } from './homefs/mounted';
import { ServedFiles } from './homefs/served';
import { Addresses } from './jobs/addresses';
import { Arrays } from './jobs/arrays';
import { Clearing } from './jobs/clearing';
import { Copies } from './jobs/copies';
import { Debugging } from './jobs/debugging';
import { dispensable } from './jobs/dispensable';
import { Doors } from './jobs/doors';
import { Groups } from './jobs/groups';
import { addressesIn, Home } from './jobs/home';
import { HomedJobs } from './jobs/homed-jobs';
import { Host } from './jobs/host';
import { JobMounts } from './jobs/job-mounts';
import { JobStatuses } from './jobs/job-status';
import { Layout } from './jobs/layout';
import { Outliving } from './jobs/outliving';
import { Stops } from './jobs/stops';
import { openJournal } from './journal/open';
import { watched } from './journal/watched';
import { faultPointsIn, faultsFolder, noFaultPoints } from './migration/fault-points';
import { Moves } from './migration/moves';
import { Strays } from './migration/strays';
import { MovesUnderWay } from './migration/under-way';
import { allocationAnswers } from './requests/allocation-answers';
import { Balancer } from './requests/balancer';
import { clientHandlers } from './requests/client';
import { clusterAnswers } from './requests/cluster-answers';
import { openDoorway } from './requests/door-answers';
import { Launching } from './requests/launching';
import { Leftovers } from './requests/leftovers';
import { OwnDebuggers } from './requests/own-debuggers';
import { OwnJobs } from './requests/own-jobs';
import { peerHandlers } from './requests/peer';
import { Queue } from './requests/queue';
import { UserSockets } from './requests/user-sockets';
import { View } from './requests/view';

/** A keeper that has ended is started anew at once; on a loaded machine that takes a while. */
const KEEPER_PATIENCE_MS = 10_000;

const daemon = new DaemonLog('agent.log');
/** Every line has the node's name, once that is known. */
let log = daemon.log;

interface Started {
  configFile: string;
  config: FixedConfig;
  tls: TlsIdentity;
  settings: Settings;
  peers: Peers;
  changes: Changes;
  joined: Joined | null;
  rules: Rules;
  memory: NodeMemory;
  /** The level of nice(2) at which jobs are launched. */
  niceOfJobs: number;
}

/** What all parts of an agent need. */
function foundation({ config, peers, changes, niceOfJobs, memory }: Started) {
  const { name: node, cgroup } = config;
  const layout = new Layout(config.state);
  // First: an agent that can't use its journal leaves the rest as it is.
  const stored = openJournal(layout.journal);
  layout.make();
  const helper = layout.installHelper(join(__dirname, 'godwit-helper'));
  startProgramsBy(helper);
  const tickets = new Tickets(config.perUser.tickets);
  const keeper = new KeeperLink(
    { path: config.keeperSocket },
    { name: node, kind: 'agent', contract: keeperContract, patienceMs: KEEPER_PATIENCE_MS },
  );
  const networks = new JobNetworks({
    node,
    bridge: config.network?.bridge ?? null,
    helper,
    namespace: (job, epoch) => layout.network(job, epoch),
  });
  const shared = async () =>
    sharedMounts(await readFile('/proc/self/mountinfo', 'utf8'), config.sharedPaths, config.state);
  const program = join(__dirname, 'godwit-homefs');
  const daemons = {
    mounted: new Daemons(layout.mounted, keeper, 'mounted'),
    served: new Daemons(layout.served, keeper, 'served'),
  };
  const mounted = new MountedFiles({
    daemons: daemons.mounted,
    ...{ peers, tickets, program, roots: layout.roots, log },
  });
  const served = new ServedFiles({
    daemons: daemons.served,
    ...{ journal: stored, tickets, program, without: [layout.roots], log },
  });
  const wrote = new EventEmitter<{ job: [id: string] }>();
  const journal = watched(stored, (job) => {
    changes.notify();
    served.review();
    if (job !== undefined) wrote.emit('job', job);
  });
  return {
    ...{ node, cgroup, layout, helper, tickets, keeper, networks, shared, mounted, served, journal },
    ...{ daemons, peers, allocations: allocationsOf(config), wrote, niceOfJobs, memory, log },
  };
}

/** The parts of an agent, each given the others that it works with. */
function assemble(started: Started) {
  const { config, settings, changes, tls, rules } = started;
  const base = foundation(started);
  const { node, helper, keeper, networks, shared, journal, peers, allocations, wrote } = base;
  const underWay = new MovesUnderWay();

  // As host.
  const copies = new Copies(underWay);
  const mounts = new JobMounts(helper, shared);
  const clearing = new Clearing(base);
  const doors = new Doors({ helper, path: base.layout.door, copies, log });
  const hosting = { ...base, copies, mounts, clearing, doors };
  const host = new Host(hosting);
  const statuses = new JobStatuses(copies, keeper, base.mounted, nodeCgroup(config.cgroup));
  const debugging = new Debugging({ copies, keeper, host });
  const stops = new Stops(copies, () => changes.notify());

  // As home.
  const addresses = new Addresses({
    node,
    pool: config.network?.pool ?? null,
    taken: () => addressesIn(journal),
    ownerOf: (ip) => networks.ownerOf(ip),
  });
  const queued = (job: string) => queue.of(job);
  const lists = new HomedJobs({ node, journal, peers, moves: underWay, queued });
  const groups = new Groups({ journal, peers, log });
  const { perUser } = config;
  const home = new Home({ ...base, addresses, perUser, lists, groups });
  const arrays = new Arrays({ ...base, home, addresses });
  wrote.on('job', (job) => void home.review(job).catch((error: Error) => log(error.message, { job })));

  const context = {
    ...{ ...hosting, host },
    criu: once(async () => (await findCriu(config.criu)).path),
    points: config.lab === undefined ? noFaultPoints : faultPointsIn(faultsFolder(config.state), log),
    changed: () => changes.notify(),
  };
  const moves = new Moves(context, underWay);
  const own = () => peers.call(node, 'node.status', {});
  const members = new Members({ config, settings, changes, peers, tls, own, roster: rosterOf(started), log });
  const scopes = new Scopes(allocations);
  const { graceMs = 0 } = config.allocations ?? {};
  const outliving = new Outliving({ ...hosting, host, graceMs });
  const balancer = new Balancer({
    ...{ node, journal, members, peers, moves, rules, allocations, random: Math.random, log },
    move: async (job, to, reason) => {
      // No client asked for it that could go away: it is finished.
      await ownJobs.move(job, to, new AbortController().signal, reason);
    },
  });
  const queue: Queue = new Queue({ ...base, home, arrays, addresses, members, balancer, perUser });
  const launching = new Launching({
    ...{ node, journal, peers, balancer, rules, home, lists, groups, arrays, queue, allocations },
    admits: (uid) => existsSync(join(config.userSockets, `${uid}`)),
  });
  const ownJobs: OwnJobs = new OwnJobs({ ...base, home, lists, queue, moves, balancer, rules });
  const strays = new Strays({ ...context, moves, members, home, names: () => peers.names });
  const leftovers = new Leftovers({ node, home, scopes, lists, members, moves, peers, statuses, strays });
  const ownDebuggers = new OwnDebuggers({ node, home, moves: underWay, peers });
  const keepers = new KeeperWatch({
    ...{ node, state: config.state, socket: config.keeperSocket, link: keeper, log },
    argv: [process.execPath, join(__dirname, 'keeper.cjs'), started.configFile],
  });
  const { mounted, served } = base.daemons;
  const held = { copies, daemons: [mounted, served], isMoving: () => underWay.isBusy };
  const cluster = clusterAnswers({ ...started, members, journal, copies, keepers });
  return {
    ...{ keepers, dispensable: () => dispensable(held) },
    ...{ config, settings, changes, refusals: new Refusals(log), speed: measureSpeed() },
    ...{ ...hosting, host, statuses, debugging, stops, home, lists, arrays, queue, moves, launching },
    ...{ ownJobs, ownDebuggers },
    ...{ clusterAnswers: cluster, leftovers, members, scopes, outliving, balancer, rules },
    allocationAnswers: allocationAnswers({ allocations, scopes, outliving }),
    ...{ demand: new NodeDemand(quotaFolder()), gate: new Gate() },
    view: new View(lists, journal, moves, () => leftovers.homeless()),
    watch: watchOver(node, peers, members, perUser.watchers, log),
  };
}

/** Where the configuration names no batch system there are none. */
const allocationsOf = ({ name: node, allocations }: FixedConfig) =>
  new Allocations({
    node,
    source: allocations ? new Slurm(allocations) : null,
    required: allocations?.required ?? false,
  });

/** Whose list of members is later than this node's is asked for it. */
const rosterOf = ({ joined }: Started) =>
  joined && {
    latest: () => joined.roster.latest,
    behind: (from: string) => joined.exchange.askSoon(from),
  };

/** What has been found stays found; what was not is looked for again. */
function once<T>(find: () => Promise<T>): () => Promise<T> {
  let found: Promise<T> | null = null;
  return () => {
    found ??= find().catch((error) => {
      found = null;
      throw error;
    });
    return found;
  };
}

async function main(configFile: string) {
  // umask(2): what the agent, its keeper and helpers make, only root may change; the mask at the start does not count.
  process.umask(0o022);
  const first = await loadConfig(configFile);
  const { name } = first;
  daemon.level = first.logLevel;
  log = log.with({ node: name });
  const niceOfJobs = await runAhead('carry').catch((error) => {
    log.warn(asGodwitError(error).toLine());
    return getPriority();
  });
  // What is in /run is gone after each boot.
  for (const folder of [first.state, dirname(first.socket), dirname(first.keeperSocket)])
    await mkdir(folder, { recursive: true });
  const tls = await loadTls(first.tls);
  const certificate = readCertificate(tls.cert);
  const file = first.membersFile ? await MembersFile.open(first.membersFile, log) : null;
  const isJoined = !first.members && !file;
  const roster = isJoined ? await Roster.open(clusterFiles(first.state).roster, tls.ca) : null;
  const listen = roster ? await presentPlace(name, first.listen, roster) : first.listen;
  const config: FixedConfig = { ...first, listen };
  const settings = new Settings({
    ...{ file: configFile, first, elsewhere: file ?? roster, log },
    check: (members) => checkOwnCertificate(config, members, certificate),
  });
  const changes = new Changes();
  const peers = new Peers(name, settings, tls);
  /** The members are others now. Before there are connections there is nothing to be done. */
  let review = () => {};
  const cluster = roster && (await joined({ config, roster, peers, tls, changed: () => review(), log }));
  const rules = await Rules.open(new Layout(config.state).rules);
  const node = assemble({
    configFile,
    config,
    settings,
    peers,
    changes,
    tls,
    joined: cluster,
    rules,
    memory: await NodeMemory.open(config.cgroup, config.memory, log),
    niceOfJobs,
  });
  const handlers = peerHandlers(node);
  peers.serve(handlers);
  const { journal, tickets, served } = node;

  await sweepAccounts(config.cgroup);
  await node.keepers.start();
  // What was under way is taken up before anybody is listened to.
  await node.moves.restart(await journal.jobs({ ended: true, adopted: true }));
  await served.restart();
  await node.home.takeUp();
  await node.queue.takeUp();
  const wire = await serveTls({
    ...config.listen,
    ...{ tls, name, kind: 'agent', contract: peerContract, handlers, tickets },
    admits: (who) => {
      const why = refusal(settings.now.members, name, who);
      if (why) node.refusals.report(`a connection was refused: ${why.message}`);
      return why === null;
    },
  });
  const answers = clientHandlers(node);
  const clients = { name, kind: 'agent', contract: clientContract, handlers: answers, tickets } as const;
  await openDoorway({ ...node, ...config, path: node.layout.door }, answers);
  await serveUnix({ ...clients, path: config.socket });
  const { perUser } = config;
  const bounds = { allowance: allowanceOf(perUser), maxConnections: perUser.connections };
  const userSockets = new UserSockets({
    folder: config.userSockets,
    users: () => readUsers(settings.now, log),
    open: (path, user) => serveUnix({ ...clients, ...bounds, path, user }),
    log,
  });
  await userSockets.update();
  review = () => {
    for (const part of [wire, peers, node.members, node.watch]) part.review();
  };
  file?.watch(() => review());
  const reload = async () => {
    await settings.reload();
    review();
    // The members of its groups may be others too.
    await userSockets.update();
  };
  // As daemons have it.
  process.on('SIGHUP', () => void reload());
  await node.members.start();
  void node.home.start().then(() => node.arrays.takeBackUnsettled());
  node.queue.start();
  node.outliving.start();
  node.balancer.start();
  node.keepers.replaceWhenIdle(node.dispensable);
  let restart = () => {};
  const moved = new Promise<void>((resolve) => {
    restart = resolve;
  });
  if (cluster) await takePart(cluster, { config, tls, peers, wire, restart });
  log('the agent is up');

  const told = Promise.race([onceEmitted(process, 'SIGTERM'), onceEmitted(process, 'SIGINT')]);
  const status = await Promise.race([told.then(() => 0), moved.then(() => STARTED_ANEW)]);
  journal.close();
  process.exit(status);
}

/** What keeps an agent up starts it again after a failure only. */
const STARTED_ANEW = 1;

interface Taking {
  config: FixedConfig;
  tls: TlsIdentity;
  peers: Peers;
  wire: Server;
  /** The agent is to be started anew. */
  restart: () => void;
}

/** In a cluster that was joined: hears of its members, renews the certificate, lets others join. */
async function takePart(
  { roster, exchange, issuing }: Joined,
  { config, tls, peers, wire, restart }: Taking,
): Promise<void> {
  const { name, listen } = config;
  const authority = () => roster.authorityNode ?? name;
  const ask = async (request: string) =>
    (await peers.call(authority(), 'cluster.renew', { request })).certificate;
  new Renewal({ name, files: config.tls, tls, ask, renewed: () => wire.renew(tls), log }).start();
  exchange.start();
  const tell = (place: { address: string; port: number }) => peers.call(authority(), 'cluster.moved', place);
  new Place({ name, listen, roster, tell, moved: restart, log }).start();
  await issuing?.authority.restart();
  // Tokens that cannot be used now are no reason to end.
  await issuing?.door.review().catch((error: Error) => log.error(`no machine can join: ${error.message}`));
}

logFailures(daemon.log);

main(process.argv[2] ?? '').catch((error: Error) => endWith(log, error));
