/** The agent: what a node decides. It may be ended at any time; what it needs to go on is in its journal and keeper. */
import { EventEmitter, once as onceEmitted } from 'node:events';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { clientContract } from '../api/client-contract';
import { clusterFiles } from '../api/cluster-files';
import { type FixedConfig, loadConfig } from '../api/config';
import { peerContract } from '../api/peer-contract';
import { keeperContract } from '../keeper/contract';
import { KeeperWatch } from '../keeper/watch';
import { DaemonLog, endWith, logFailures } from '../log';
import { NodeDemand, quotaFolder } from '../machine/cgroup/demand';
import { sweepAccounts } from '../machine/cgroup/limits';
import { findCriu } from '../machine/criu/criu';
import { sharedMounts } from '../machine/homefs/shared';
import { JobNetworks } from '../machine/network/interface';
import { allowanceOf } from '../wire/allowance';
import { Link } from '../wire/link';
import { type Server, serveTls, serveUnix } from '../wire/server';
import { Tickets } from '../wire/tickets';
import { loadTls, readCertificate, type TlsIdentity } from '../wire/tls';
import { Gate } from './balance/gate';
import { Changes } from './cluster/changes';
import { type Joined, joined } from './cluster/joined';
import { Members, measureSpeed } from './cluster/members';
import { MembersFile } from './cluster/members-file';
import { checkOwnCertificate, Refusals, refusal } from './cluster/membership';
import { Rules } from './cluster/node-rules';
import { Peers } from './cluster/peers';
import { Renewal } from './cluster/renewal';
import { Roster } from './cluster/roster';
import { Settings } from './cluster/settings';
import { readUsers } from './cluster/users';
import { ClusterWatch } from './cluster/watch';
import { Daemons } from './homefs/daemons';
import { MountedFiles } from './homefs/mounted';
import { ServedFiles } from './homefs/served';
import { Addresses } from './jobs/addresses';
import { Clearing } from './jobs/clearing';
import { Copies } from './jobs/copies';
import { Debugging } from './jobs/debugging';
import { addressesIn, Home } from './jobs/home';
import { HomedJobs } from './jobs/homed-jobs';
import { Host } from './jobs/host';
import { JobMounts } from './jobs/job-mounts';
import { JobStatuses } from './jobs/job-status';
import { Layout } from './jobs/layout';
import { Stops } from './jobs/stops';
import { openJournal } from './journal/open';
import { watched } from './journal/watched';
import { faultPointsIn, faultsFolder, noFaultPoints } from './migration/fault-points';
import { Moves } from './migration/moves';
import { Strays } from './migration/strays';
import { MovesUnderWay } from './migration/under-way';
import { Balancer } from './requests/balancer';
import { clientHandlers } from './requests/client';
import { clusterAnswers } from './requests/cluster-answers';
import { Leftovers } from './requests/leftovers';
import { OwnDebuggers } from './requests/own-debuggers';
import { OwnJobs } from './requests/own-jobs';
import { peerHandlers } from './requests/peer';
import { UserSockets } from './requests/user-sockets';
import { View } from './requests/view';

/** A home asks its jobs' hosts, each of which may be gone. */
const VIEW_TIMEOUT_MS = 5_000;

/** A keeper that has ended is started anew at once; on a loaded machine that takes a while. */
const KEEPER_PATIENCE_MS = 10_000;

const daemon = new DaemonLog('agent.log');
/** Every line has the node's name, once that is known. */
let log = daemon.log;

interface Started {
  config: FixedConfig;
  tls: TlsIdentity;
  settings: Settings;
  peers: Peers;
  changes: Changes;
  joined: Joined | null;
  rules: Rules;
}

/** What all parts of an agent need. */
function foundation({ config, peers, changes }: Started) {
  const { name: node, cgroup } = config;
  const layout = new Layout(config.state);
  // First: an agent that can't use its journal leaves the rest as it is.
  const stored = openJournal(layout.journal);
  layout.make();
  const helper = layout.installHelper(join(__dirname, 'godwit-helper'));
  const tickets = new Tickets(config.perUser.tickets);
  const keeper = new Link(
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
  const mounted = new MountedFiles({
    daemons: new Daemons(layout.mounted, keeper, 'mounted'),
    ...{ peers, tickets, program, roots: layout.roots, log },
  });
  const served = new ServedFiles({
    daemons: new Daemons(layout.served, keeper, 'served'),
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
    ...{ peers, wrote, log },
  };
}

/** The parts of an agent, each given the others that it works with. */
function assemble(started: Started) {
  const { config, settings, changes, tls, rules } = started;
  const base = foundation(started);
  const { node, helper, keeper, networks, shared, journal, peers, wrote } = base;
  const underWay = new MovesUnderWay();

  // As host.
  const copies = new Copies(underWay);
  const mounts = new JobMounts(helper, shared);
  const clearing = new Clearing(base);
  const hosting = { ...base, copies, mounts, clearing };
  const host = new Host(hosting);
  const statuses = new JobStatuses(copies, keeper);
  const debugging = new Debugging({ copies, keeper, host });
  const stops = new Stops(copies, () => changes.notify());

  // As home.
  const addresses = new Addresses({
    node,
    pool: config.network?.pool ?? null,
    taken: () => addressesIn(journal),
    ownerOf: (ip) => networks.ownerOf(ip),
  });
  const lists = new HomedJobs({ node, journal, peers, moves: underWay });
  const home = new Home({ ...base, addresses, perUser: config.perUser, lists });
  wrote.on('job', (job) => void home.review(job).catch((error: Error) => log(error.message, { job })));

  const context = {
    ...{ ...hosting, host },
    criu: once(async () => (await findCriu(config.criu)).path),
    points: config.lab === undefined ? noFaultPoints : faultPointsIn(faultsFolder(config.state), log),
    changed: () => changes.notify(),
  };
  const moves = new Moves(context, underWay);
  const own = () => peers.call(node, 'node.status', {});
  const members = new Members({ config, settings, peers, tls, own, roster: rosterOf(started), log });
  const balancer = new Balancer({
    ...{ node, journal, members, peers, moves, rules, random: Math.random, log },
    move: async (job, to, reason) => {
      // No client asked for it that could go away: it is finished.
      await ownJobs.move(job, to, new AbortController().signal, reason);
    },
  });
  const ownJobs: OwnJobs = new OwnJobs({ ...base, home, lists, moves, balancer, rules });
  const strays = new Strays({ ...context, moves, members, home, names: () => peers.names });
  const leftovers = new Leftovers({ node, home, lists, members, moves, peers, statuses, strays });
  const ownDebuggers = new OwnDebuggers({ node, home, moves: underWay, peers });
  const cluster = clusterAnswers({ ...started, members, journal, copies });
  return {
    ...{ config, settings, changes, refusals: new Refusals(log), speed: measureSpeed() },
    ...{ ...hosting, host, statuses, debugging, stops, home, lists, moves, ownJobs, ownDebuggers },
    ...{ clusterAnswers: cluster, leftovers, members, balancer, rules },
    ...{ demand: new NodeDemand(quotaFolder()), gate: new Gate() },
    view: new View(lists, journal, moves, () => leftovers.homeless()),
    watch: watchOver(peers, members, config.perUser.watchers),
  };
}

/** Whose list of members is later than this node's is asked for it. */
const rosterOf = ({ joined }: Started) =>
  joined && {
    latest: () => joined.roster.latest,
    behind: (from: string) => joined.exchange.askSoon(from),
  };

/** Asks every node, this one included, on behalf of those who watch. */
function watchOver(peers: Peers, members: Members, mostOfOne: number): ClusterWatch {
  return new ClusterWatch(
    {
      get names() {
        return peers.names;
      },
      list: () => members.list(),
      view: (home) => peers.call(home, 'home.view', {}, { timeoutMs: VIEW_TIMEOUT_MS }),
      changed: async (node, seen, signal) =>
        (await peers.call(node, 'node.changed', { seen }, { signal })).seen,
    },
    log,
    mostOfOne,
  );
}

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

/** umask(2): what the agent, its keeper and helpers make, only root may change; the mask at the start does not count. */
const MASK = 0o022;

async function main(configFile: string) {
  process.umask(MASK);
  const first = await loadConfig(configFile);
  const config: FixedConfig = first;
  const { name } = config;
  daemon.level = config.logLevel;
  log = log.with({ node: name });
  // What is in /run is gone after each boot.
  for (const folder of [config.state, dirname(config.socket), dirname(config.keeperSocket)])
    await mkdir(folder, { recursive: true });
  const tls = await loadTls(config.tls);
  const certificate = readCertificate(tls.cert);
  const file = first.membersFile ? await MembersFile.open(first.membersFile, log) : null;
  const isJoined = !first.members && !file;
  const roster = isJoined ? await Roster.open(clusterFiles(config.state).roster, tls.ca) : null;
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
  const node = assemble({ config, settings, peers, changes, tls, joined: cluster, rules });
  const handlers = peerHandlers(node);
  peers.serve(handlers);
  const { journal, tickets, served } = node;

  await sweepAccounts(config.cgroup);
  const { keeperSocket: socket, state } = config;
  const argv: [string, ...string[]] = [process.execPath, join(__dirname, 'keeper.cjs'), configFile];
  await new KeeperWatch({ node: name, state, socket, argv, log }).start();
  // What was under way is taken up before anybody is listened to.
  await node.moves.restart(await journal.jobs({ ended: true, adopted: true }));
  await served.restart();
  await node.home.takeUp();
  const wire = await serveTls({
    ...config.listen,
    ...{ tls, name, kind: 'agent', contract: peerContract, handlers, tickets },
    admits: (who) => {
      const why = refusal(settings.now.members, name, who);
      if (why) node.refusals.report(`a connection was refused: ${why.message}`);
      return why === null;
    },
  });
  const clients = {
    name,
    kind: 'agent',
    contract: clientContract,
    handlers: clientHandlers(node),
    tickets,
  } as const;
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
  void node.home.start();
  node.balancer.start();
  if (cluster) await takePart(cluster, { config, tls, peers, wire });
  log('the agent is up');

  await Promise.race([onceEmitted(process, 'SIGTERM'), onceEmitted(process, 'SIGINT')]);
  journal.close();
  process.exit(0);
}

/** In a cluster that was joined: hears of its members, renews the certificate, lets others join. */
async function takePart(
  { roster, exchange, issuing }: Joined,
  { config, tls, peers, wire }: { config: FixedConfig; tls: TlsIdentity; peers: Peers; wire: Server },
): Promise<void> {
  const { name } = config;
  const ask = async (request: string) => {
    const authority = roster.authorityNode ?? name;
    return (await peers.call(authority, 'cluster.renew', { request })).certificate;
  };
  new Renewal({ name, files: config.tls, tls, ask, renewed: () => wire.renew(tls), log }).start();
  exchange.start();
  await issuing?.authority.restart();
  // Tokens that cannot be used now are no reason to end.
  await issuing?.door.review().catch((error: Error) => log.error(`no machine can join: ${error.message}`));
}

logFailures(daemon.log);

main(process.argv[2] ?? '').catch((error: Error) => endWith(log, error));
