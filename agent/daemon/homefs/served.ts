/** The home's end: one server for each copy of a job that is on another node, as long as that node has one. */
import type { Duplex } from 'node:stream';
import { asGodwitError, jobEnded } from '../../api/errors';
import type { User } from '../../api/model';
import type { Log } from '../../log';
import { serveCommand } from '../../machine/homefs/program';
import { pipeStreams } from '../../wire/streams';
import type { Tickets } from '../../wire/tickets';
import type { HomedJob, Journal } from '../journal/journal';
import type { Daemons } from './daemons';

/** Whose files are asked for, and by which node. */
export interface FilesFor {
  job: string;
  /** The epoch under which that node mounts them. */
  epoch: number;
  node: string;
  /** The mount's own name, which no other has. */
  wire: string;
}

export interface ServedOptions {
  daemons: Daemons;
  journal: Pick<Journal, 'job'>;
  tickets: Tickets;
  /** dist/godwit-homefs. */
  program: string;
  /** Folders of which no job sees more than the name. */
  without: string[];
  log: Log;
}

/** The nodes that have a copy of the job, or have one still to clear away. */
function holders({ state, ledger }: HomedJob): Set<string> {
  const { host, open, debts } = ledger;
  if (state === 'ended') return new Set();
  const moving = open ? [open.move.from, open.move.to] : [];
  return new Set([
    ...(state === 'lost' || state === 'adopted' ? [] : [host]),
    ...moving,
    ...debts.map(({ node }) => node),
  ]);
}

export class ServedFiles {
  /** Jobs that have servers. */
  #jobs = new Set<string>();
  #reviewing: Promise<void> | null = null;
  #again = false;
  /** Starts under way, so that two streams for one mount get one server. */
  readonly #starts = new Map<string, Promise<void>>();

  constructor(private readonly options: ServedOptions) {}

  /** What an earlier run of the agent has left. */
  async restart(): Promise<void> {
    this.#jobs = new Set((await this.options.daemons.names()).map((name) => name.split('.')[0]!));
    this.review();
  }

  /**
   * A ticket for a stream joined to the server of that mount. One that has died is started anew; the two ends notice
   * that when they are joined. @throws `no-such-job`, `job-ended`, `home-files-failed`
   */
  async open(asked: FilesFor): Promise<{ ticket: string }> {
    const { journal, daemons, tickets } = this.options;
    const job = await journal.job(asked.job);
    if (!holders(job).has(asked.node)) throw jobEnded(asked.job);
    const name = `${asked.job}.${asked.epoch}.${asked.node}`;
    const known = await daemons.find(name);
    if (known?.wire !== asked.wire) await this.#start(name, asked, job.spec.user);
    const join = async (stream: Duplex) => pipeStreams(stream, await daemons.connect(name));
    return { ticket: tickets.issue(join, { by: asked.node }) };
  }

  #start(name: string, { job, wire }: FilesFor, user: User): Promise<void> {
    const { daemons, program, without } = this.options;
    const start = async () => {
      await daemons.end(name);
      const order = { program, id: wire, user, without };
      await daemons.start(name, wire, (socket) => serveCommand({ ...order, socket }));
    };
    const started = () => {
      this.#starts.delete(name);
      // The job may have ended or moved on meanwhile: what was looked at then did not have this server.
      this.#jobs.add(job);
      this.review();
    };
    const under = this.#starts.get(name) ?? start().finally(started);
    this.#starts.set(name, under);
    return under;
  }

  /** Something in the journal has changed: servers that are not needed any more are ended. */
  review(): void {
    if (this.#jobs.size === 0) return;
    this.#again = true;
    this.#reviewing ??= this.#review().finally(() => {
      this.#reviewing = null;
      if (this.#again) this.review();
    });
  }

  async #review(): Promise<void> {
    this.#again = false;
    const { daemons, journal, log } = this.options;
    const names = await daemons.names();
    for (const job of [...this.#jobs]) {
      try {
        const homed = await journal.job(job).catch(unlessUnknown);
        const needed = homed ? holders(homed) : new Set<string>();
        const own = names.filter((name) => name.startsWith(`${job}.`));
        for (const name of own) if (!needed.has(name.split('.').slice(2).join('.'))) await daemons.end(name);
        if (needed.size === 0) this.#jobs.delete(job);
      } catch (error) {
        log(`a server of its files was not ended: ${(error as Error).message}`, { job });
      }
    }
  }
}

function unlessUnknown(error: unknown): null {
  if (asGodwitError(error).code === 'no-such-job') return null;
  throw error;
}
