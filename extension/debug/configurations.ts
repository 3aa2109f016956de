import { basename, dirname, extname, join } from 'node:path';
import {
  type CancellationToken,
  commands,
  type DebugConfiguration,
  type DebugConfigurationProvider,
  type WorkspaceFolder,
  window,
} from 'vscode';
import { asGodwitError } from '../../agent/api/errors';
import type { Cluster } from '../cluster/cluster';
import { sentence } from '../failure';
import { isExecutable } from '../launch/programs';
import { snapshotOf } from '../prompts/places';
import { processPicked } from '../stacks/processes';
import { ask, type Log } from '../window';

/** Makes whole what a launch.json leaves out, and sees to it that there is a cluster to debug on. */
export class Configurations implements DebugConfigurationProvider {
  constructor(
    private readonly cluster: Cluster,
    private readonly log: Log,
  ) {}

  /** F5 without a launch.json comes with nothing at all. */
  async resolveDebugConfiguration(
    _folder: WorkspaceFolder | undefined,
    configuration: DebugConfiguration,
  ): Promise<DebugConfiguration | undefined> {
    const { request = 'launch', program } = configuration;
    if (request !== 'launch' || program) return { ...configuration, type: 'godwit', request };
    const built = await besideActiveFile();
    if (!built) {
      // The person is asked, and that starts a session of its own.
      void commands.executeCommand('godwit.launchAndDebugJob');
      return undefined;
    }
    const name = configuration.name || basename(built);
    return { ...configuration, type: 'godwit', request, name, program: built };
  }

  async resolveDebugConfigurationWithSubstitutedVariables(
    folder: WorkspaceFolder | undefined,
    configuration: DebugConfiguration,
    token?: CancellationToken,
  ): Promise<DebugConfiguration | undefined> {
    // The picker of `${command:pickJob}` was dismissed.
    if (configuration.request === 'attach' && configuration.job === '') return undefined;
    const agent: unknown = configuration.agent;
    // An agent that was named need not be the one that the view shows.
    if (!agent && !(await this.#clusterThere())) return undefined;
    if (token?.isCancellationRequested) return undefined;
    return {
      ...configuration,
      ...(configuration.request === 'attach' ? processPicked(configuration.job) : {}),
      agent: agent || this.cluster.socket,
      ...(configuration.request === 'launch' && configuration.cwd === undefined && folder
        ? { cwd: folder.uri.fsPath }
        : {}),
    };
  }

  async #clusterThere(): Promise<boolean> {
    try {
      await snapshotOf(this.cluster);
      return true;
    } catch (error) {
      const failure = asGodwitError(error);
      this.log.error(`debugging: ${failure.toLine()}`);
      const start = 'Start Local Cluster';
      const buttons = failure.code === 'no-agent' || failure.code === 'agent-lost' ? [start] : [];
      const detail = sentence(buttons.length > 0 ? failure.message : failure.toLine());
      if ((await ask('error', 'There is no cluster to debug on.', detail, ...buttons)) !== start)
        return false;
      return (await commands.executeCommand('godwit.startLocalCluster')) === true;
    }
  }
}

/** `heat` beside the `heat.c` that is being edited, and an `a.out` where there is none. */
async function besideActiveFile(): Promise<string | undefined> {
  const file = window.activeTextEditor?.document.uri;
  if (file?.scheme !== 'file') return undefined;
  const folder = dirname(file.fsPath);
  const stem = basename(file.fsPath, extname(file.fsPath));
  for (const path of [stem, join('build', stem), 'a.out'].map((name) => join(folder, name))) {
    if (path !== file.fsPath && (await isExecutable(path, false))) return path;
  }
  return undefined;
}
