/** Slurm's allocations, as its own commands tell them: of jobs, in Slurm's words. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { GodwitError } from '../../api/errors';
import type { Allocation, AllocationSource } from './allocation';
import * as text from './slurm-text';

const run = promisify(execFile);

/** A controller that does not answer is tried again by its commands meanwhile. */
const DEADLINE_MS = 20_000;
/** Of one allocation of many nodes. */
const MOST_BYTES = 4 * 1024 * 1024;
const NO_SUCH_JOB = /Invalid job id specified/;
const NO_SUCH_USER = /Invalid user/;
/** Larger ones are no job's, and squeue(1) would take other words for more than one job. */
const ID = /^[1-9]\d{0,9}$/;

export interface SlurmOptions {
  /** The folder of its commands. */
  commands: string;
  /** Its slurm.conf, where that is not where the commands look for it. */
  settings?: string | undefined;
}

export class Slurm implements AllocationSource {
  readonly name = 'Slurm';

  constructor(private readonly options: SlurmOptions) {}

  async find(id: string): Promise<Allocation | null> {
    if (!ID.test(id)) return null;
    const found = await this.#queue([`--jobs=${id}`, '--states=all'], NO_SUCH_JOB);
    const job = found.find((one) => one.id === id);
    if (!job) return null;
    const { nodes, ...rest } = job;
    return { ...rest, nodes: job.over || !nodes ? new Map() : await this.#shares(id, nodes) };
  }

  async of(uid: number) {
    const found = await this.#queue([`--user=${uid}`, `--states=${text.NOT_OVER}`], NO_SUCH_USER);
    return found.filter((job) => job.uid === uid && !job.over);
  }

  async draining(nodes: readonly string[]): Promise<ReadonlySet<string>> {
    const wanted = ['--noheader', '--Node', `--nodes=${nodes.join(',')}`, `--format=${text.NODE_FORMAT}`];
    return text.readDraining(await this.#say('sinfo', wanted));
  }

  async #queue(which: string[], none: RegExp): Promise<text.Queued[]> {
    const asked = ['--noheader', ...which, `--format=${text.QUEUE_FORMAT}`];
    const said = await this.#say('squeue', asked).catch((error: GodwitError) => {
      if (none.test(error.message)) return '';
      throw error;
    });
    return text.readQueue(said);
  }

  async #shares(id: string, nodes: string) {
    const told = await this.#say('scontrol', ['--detail', '--oneliner', 'show', 'job', id]);
    const names = await this.#names(nodes);
    const parts = text.readParts(told);
    if (parts.length > names.length) throw text.unclear(`job ${id} has more parts than nodes`);
    const named = [];
    for (const { nodes, ...share } of parts) named.push({ ...share, names: await this.#names(nodes) });
    return text.sharesOf(id, names, named);
  }

  async #names(list: string): Promise<string[]> {
    if (!/[[,]/.test(list)) return [list];
    // One that begins so would be taken for an option.
    if (list.startsWith('-')) throw text.unclear(`"${list}" is no list of nodes`);
    return text.linesOf(await this.#say('scontrol', ['show', 'hostnames', list]));
  }

  async #say(command: string, args: string[]): Promise<string> {
    const { commands, settings } = this.options;
    const path = join(commands, command);
    const env = { PATH: process.env.PATH, LC_ALL: 'C', ...(settings ? { SLURM_CONF: settings } : {}) };
    const limits = { timeout: DEADLINE_MS, killSignal: 'SIGKILL', maxBuffer: MOST_BYTES } as const;
    try {
      return (await run(path, args, { env, ...limits })).stdout;
    } catch (error) {
      const { stderr, message } = error as { stderr?: string; message: string };
      throw silent(path, stderr?.trim() || message);
    }
  }
}

const silent = (command: string, why: string) =>
  new GodwitError({
    code: 'allocations-unknown',
    message: `Slurm does not say which allocations there are: ${command}: ${why.replace(/\s+/g, ' ')}`,
    fix: 'see `scontrol ping`; what runs already runs on',
  });
