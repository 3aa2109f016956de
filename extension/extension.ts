/** The extension, put together. It begins with its view, one of its commands or a session of its debug type. */
import { commands, type Disposable, debug, type ExtensionContext, workspace } from 'vscode';
import { GodwitError } from '../agent/api/errors';
import { Cluster } from './cluster/cluster';
import type { ClusterSource } from './cluster/source';
import { GodwitCommand } from './command/godwit';
import { addNode } from './commands/add-node';
import { Arrays } from './commands/arrays';
import { Balance } from './commands/balance';
import { doctor } from './commands/doctor';
import { Ending } from './commands/end';
import { Lab } from './commands/lab';
import { Launching } from './commands/launch';
import { Leftovers } from './commands/leftovers';
import { Migration } from './commands/migrate';
import { Pinning } from './commands/pin';
import { Stacks } from './commands/stacks';
import { Targets } from './commands/targets';
import { adapterIn } from './debug/adapter';
import { Configurations } from './debug/configurations';
import { DebugPlaces } from './debug/places';
import { DebuggedJobs } from './debug/sessions';
import { showFailure } from './failure';
import { Launches } from './launch/request';
import { type Panels, registerPanels } from './panels/panels';
import { living } from './prompts/places';
import { askForProcess } from './prompts/processes';
import { pickedProcess } from './stacks/processes';
import { StacksView } from './stacks/view';
import { JobTerminals } from './terminals';
import { ClusterTree } from './tree/view';
import { createLog } from './window';

/** For other extensions and for tests. */
export interface Godwit {
  readonly cluster: ClusterSource;
}

export function activate(context: ExtensionContext): Godwit {
  const log = createLog();
  const setting = () => workspace.getConfiguration('godwit').get<string>('agent', '');
  const cluster = new Cluster(setting, log);
  const debugged = new DebuggedJobs();
  const targets = new Targets(cluster, debugged);
  const command = GodwitCommand.beside(context.extensionPath, log);
  const panels = registerPanels(context, cluster);
  const terminals = new JobTerminals(() => cluster.socket);
  const lab = new Lab(command, cluster, debugged);
  const launching = new Launching(cluster, new Launches(context.workspaceState, cluster), targets);
  const migration = new Migration(cluster, targets, (job) => panels.showTimeline(job), debugged);
  const ending = new Ending(cluster, targets);
  const pinning = new Pinning(cluster, targets);
  const leftovers = new Leftovers(cluster, targets);
  const balance = new Balance(cluster);
  const arrays = new Arrays(cluster);
  const stacksView = new StacksView();
  const stacks = new Stacks(cluster, targets, stacksView);

  const handlers: Record<string, Handler> = {
    startLocalCluster: () => lab.start(),
    stopLocalCluster: (confirmed) => lab.stop({ confirmed: confirmed === true }),
    addNode: (host) => addNode(command, cluster, host),
    launchJob: (launch) => launching.launch(launch),
    launchJobInTerminal: (launch) => launching.launch(launch, (job) => terminals.show(job)),
    launchAndDebugJob: (launch) => launching.launchAndDebug(launch),
    attachDebugger: ofRow((job, process) => launching.attach(job, process)),
    migrateJob: ofRow((job, node) => migration.migrate(job, node)),
    sendJobHome: ofRow((job) => migration.sendHome(job)),
    pinJob: ofRow((job) => pinning.set(job, true)),
    unpinJob: ofRow((job) => pinning.set(job, false)),
    balanceOn: () => balance.set(true),
    balanceOff: () => balance.set(false),
    drainNode: ofRow((node) => balance.drain(node, true)),
    undrainNode: ofRow((node) => balance.drain(node, false)),
    adoptJob: ofRow((job) => leftovers.decide('adopt', job)),
    forgetJob: ofRow((job) => leftovers.decide('forget', job)),
    endJob: ofRow((job, options) => ending.end(job, options)),
    endArray: ofRow((array, confirmed) => arrays.end(array, confirmed)),
    migrateArray: ofRow((array, node) => arrays.migrate(array, node)),
    pinArray: ofRow((array) => arrays.pin(array, true)),
    unpinArray: ofRow((array) => arrays.pin(array, false)),
    showStacks: ofRow((jobs) => stacks.show(jobs)),
    refreshStacks: () => stacks.refresh(),
    pauseAll: () => debugged.askAll('pause'),
    continueAll: () => debugged.askAll('continue'),
    debugThread: ofRow((row) => stacks.debug(row)),
    showFrame: (row) => stacks.showFrame(row),
    doctor: () => doctor(command),
    ...showing(panels, terminals, targets),
    ...picking(cluster, targets),
  };
  context.subscriptions.push(
    log,
    cluster,
    debugged,
    new DebugPlaces(cluster, debugged),
    terminals,
    stacksView,
    ...Object.entries(handlers).map(([name, handler]) =>
      commands.registerCommand(`godwit.${name}`, telling(name, handler)),
    ),
    new ClusterTree(cluster, (job, node) => void commands.executeCommand('godwit.migrateJob', job, node)),
    debug.registerDebugConfigurationProvider('godwit', new Configurations(cluster, log)),
    debug.registerDebugAdapterDescriptorFactory('godwit', {
      createDebugAdapterDescriptor: () => adapterIn(context.extensionPath),
    }),
    workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration('godwit.agent')) cluster.reconnect();
    }),
    followState(cluster),
  );
  return { cluster };

  /** A command that fails says so, and has no result. */
  function telling(name: string, handler: Handler): Handler {
    return async (...args) => {
      try {
        return await handler(...args);
      } catch (error) {
        void showFailure(error, name, log);
        return undefined;
      }
    };
  }
}

type Handler = (...args: unknown[]) => unknown;

/**
 * While VS Code draws rows anew it does not know them: a click on one has no argument then, and is not to be taken for
 * a command without one, which asks for the job, and takes the only one there is.
 */
const ofRow =
  (handler: Handler): Handler =>
  (...args) => {
    if (args.length > 0 && args[0] === undefined) throw rowGone();
    return handler(...args);
  };

const rowGone = () =>
  new GodwitError({
    code: 'row-gone',
    message: 'the row that was clicked was just being drawn anew',
    fix: 'click it again',
  });

function showing(panels: Panels, terminals: JobTerminals, targets: Targets): Record<string, Handler> {
  return {
    showClusterLoad: () => panels.showLoad(),
    showMigrationTimeline: async (given) => {
      if (given === undefined) return panels.showTimeline();
      const job = await targets.job(given, {
        title: 'Show Migration Timeline',
        placeholder: 'The job whose moves to show',
        of: () => true,
        none: 'there has been no job yet',
      });
      return job && panels.showTimeline(job.id);
    },
    showConsole: ofRow(async (given) => {
      const job = await targets.job(given, {
        title: 'Show Console',
        placeholder: 'The job whose output to show',
        of: () => true,
        none: 'there has been no job yet',
      });
      if (job?.tty) return terminals.show(job);
      return job && panels.showConsole(job.id);
    }),
  };
}

/** For `${command:pickJob}` and its like in a launch.json, where an empty text means that none was picked. */
function picking(cluster: Cluster, targets: Targets): Record<string, Handler> {
  const title = 'Attach Debugger';
  const pick = () =>
    targets.job(undefined, {
      title,
      placeholder: 'The job to debug',
      of: living,
      none: 'there is no job to attach to',
    });
  return {
    pickJob: async () => (await pick())?.id ?? '',
    pickProcess: async () => {
      const job = await pick();
      const pid = job && (await askForProcess(cluster, job, title));
      return pid === undefined ? '' : pickedProcess(job!.id, pid);
    },
  };
}

/** For menus and the view's welcome. */
function followState(cluster: Cluster): Disposable {
  const tell = () => {
    void commands.executeCommand('setContext', 'godwit.connected', cluster.state === 'connected');
    void commands.executeCommand('setContext', 'godwit.state', cluster.state);
  };
  tell();
  return cluster.onDidChangeState(tell);
}
