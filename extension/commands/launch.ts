import { commands, debug, workspace } from 'vscode';
import { z } from 'zod';
import type { Job } from '../../agent/api/model';
import { plain } from '../../agent/api/plain';
import { inheritance } from '../../agent/client/launcher';
import type { Cluster } from '../cluster/cluster';
import { complete, Launch, type Launches } from '../launch/request';
import { living, snapshotOf } from '../prompts/places';
import { tell } from '../window';
import { nodeGiven, type Targets } from './targets';

const DebugLaunch = Launch.extend({ stopAtEntry: z.boolean().default(false) });

/** Of a terminal, until the editor has laid it out. */
const USUAL_SIZE = { rows: 24, columns: 80 };

/** Of this editor and its shell, nothing that concerns a program. */
const NOT_HANDED_ON = /^(VSCODE_|ELECTRON_|CHROME_DESKTOP$|GODWIT_)/;

export class Launching {
  constructor(
    private readonly cluster: Cluster,
    private readonly launches: Launches,
    private readonly targets: Targets,
  ) {}

  /** With `show` it gets a terminal, which that shows. Resolves with the job's id; undefined when the person gave it up. */
  async launch(given: unknown, show?: (job: Job) => void): Promise<string | undefined> {
    const launch = await this.#asked('Launch Job', given, Launch, { scripts: true });
    if (!launch) return undefined;
    const { program, args, cwd, node, name } = complete(launch);
    const job = await this.cluster.call('jobs.run', {
      program,
      args,
      cwd,
      env: environment(),
      node,
      stopped: false,
      ...(show ? { tty: USUAL_SIZE } : {}),
      ...inheritance(),
      ...(name === undefined ? {} : { name }),
    });
    await this.launches.remember(launch);
    if (show) show(job);
    else void offerNext(job.id, `${job.name} runs on ${job.node}.`);
    return job.id;
  }

  /** Has a session been started? Undefined when the person gave it up. */
  async launchAndDebug(given: unknown): Promise<boolean | undefined> {
    const launch = await this.#asked('Launch and Debug Job', given, DebugLaunch, { scripts: false });
    if (!launch) return undefined;
    const { program, args, cwd, node, name } = complete(launch);
    await this.launches.remember(launch);
    return debug.startDebugging(workspace.workspaceFolders?.[0], {
      type: 'godwit',
      request: 'launch',
      name: plain(name ?? program.split('/').at(-1)!),
      program,
      args,
      cwd,
      node,
      ...(name === undefined ? {} : { jobName: name }),
      ...('stopAtEntry' in launch ? { stopAtEntry: launch.stopAtEntry } : {}),
    });
  }

  /** Has a session been started? Undefined when the person gave it up. */
  async attach(given: unknown, process: unknown): Promise<boolean | undefined> {
    const job = await this.targets.job(given, {
      title: 'Attach Debugger to Job',
      placeholder: 'The job to debug',
      of: living,
      none: 'there is no job to attach to',
    });
    if (!job) return undefined;
    return debug.startDebugging(workspace.workspaceFolders?.[0], {
      type: 'godwit',
      request: 'attach',
      name: plain(job.name),
      job: job.id,
      ...(typeof process === 'number' ? { process } : {}),
    });
  }

  /** Given whole by a caller, given as the node that was clicked, or asked for. */
  async #asked<S extends z.ZodType<Launch>>(
    title: string,
    given: unknown,
    schema: S,
    options: { scripts: boolean },
  ): Promise<z.output<S> | Launch | undefined> {
    if (typeof given === 'object' && given !== null && 'program' in given) return schema.parse(given);
    await snapshotOf(this.cluster);
    return this.launches.ask(title, { ...options, node: nodeGiven(given) });
  }
}

function environment(): Record<string, string> {
  const entries = Object.entries(process.env).filter(([name]) => !NOT_HANDED_ON.test(name));
  return Object.fromEntries(entries) as Record<string, string>;
}

async function offerNext(job: string, message: string): Promise<void> {
  const next = {
    'Show Console': 'godwit.showConsole',
    'Attach Debugger': 'godwit.attachDebugger',
    'Migrate…': 'godwit.migrateJob',
  };
  const chosen = await tell('information', message, ...(Object.keys(next) as (keyof typeof next)[]));
  if (chosen) await commands.executeCommand(next[chosen], job);
}
