/** The cluster on this machine: brought up, taken down. */
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { workspace } from 'vscode';
import { z } from 'zod';
import { commandLine } from '../../agent/api/figures';
import { NodeName } from '../../agent/api/model';
import type { Cluster } from '../cluster/cluster';
import { isOver } from '../cluster/descriptions';
import type { GodwitCommand } from '../command/godwit';
import type { DebuggedJobs } from '../debug/sessions';
import { RemediedError } from '../failure';
import { ask, during, openTerminal, tell } from '../window';

/** The agents have answered to `lab up` already. */
const SEEN_WITHIN_MS = 15_000;
/** In which agents that have just started hear of each other. */
const ACQUAINTED_WITHIN_MS = 5_000;
/** Agents that have just been started, on a machine that does much else, and how often they are looked for. */
const ANSWER_WITHIN_MS = 15_000;
const LOOK_EVERY_MS = 500;

const LabStatus = z.object({
  nodes: z.array(z.object({ name: NodeName, address: z.string(), socket: z.string(), state: z.string() })),
});
type LabStatus = z.infer<typeof LabStatus>;

export class Lab {
  constructor(
    private readonly command: GodwitCommand,
    private readonly cluster: Cluster,
    private readonly debugged: DebuggedJobs,
  ) {}

  /**
   * Is a cluster to be seen when it is over?
   * @throws GodwitError `not-admitted`, `not-root`, `lab-failed`, `lab-broken`, `no-agent`
   */
  async start(): Promise<boolean> {
    const there = await this.#status();
    if (there.nodes.length > 0) {
      await this.#see(silent(there).length > 0 ? await this.#mended(there) : there);
      void tell('information', `The local cluster is up already: ${listed(there)}.`);
      return true;
    }
    const nodes = workspace.getConfiguration('godwit').get<number>('labNodes', 3);
    if (!isRoot()) throw this.#needsRoot(nodes);
    const status = await during(`Starting a local cluster of ${counted(nodes)}…`, async () => {
      const made = await this.#ask(['lab', 'up', '--nodes', String(nodes)]);
      await this.#see(made);
      return made;
    });
    void tell('information', `The local cluster is up: ${listed(status)}.`);
    return true;
  }

  /** @throws GodwitError `no-such-lab`, `lab-failed` */
  async stop(options: { confirmed: boolean }): Promise<boolean> {
    const status = await this.#status();
    if (status.nodes.length === 0) {
      void tell('information', 'No local cluster is running.');
      return false;
    }
    if (!isRoot()) throw this.#needsRootToStop();
    if (!options.confirmed && !(await this.#confirm(status))) return false;
    await during('Stopping the local cluster…', async () => {
      if (this.#isSeen(status)) await this.debugged.stopAll();
      await this.#ask(['lab', 'down']);
    });
    this.cluster.reconnect();
    void tell('information', 'The local cluster is stopped.');
    return true;
  }

  /** Agents that start, or are slow, are waited for; those that are gone are started where that is possible. */
  async #mended(there: LabStatus): Promise<LabStatus> {
    // Only root can judge what is wrong with a lab, and mend it; for others the view shows which nodes are down.
    if (!isRoot()) return there;
    const waiting = 'Waiting for the local cluster’s agents…';
    const status = await during(waiting, async () => {
      let now = await this.#ask(['lab', 'up']).catch(() => there);
      const deadline = performance.now() + ANSWER_WITHIN_MS;
      while (silent(now).length > 0 && performance.now() < deadline) {
        await sleep(LOOK_EVERY_MS);
        now = await this.#status();
      }
      return now;
    });
    if (silent(status).length > 0) throw this.#broken(silent(status));
    return status;
  }

  #broken(dead: string[]) {
    return new RemediedError(
      {
        code: 'lab-broken',
        message: `the local cluster is there, but the agents of these nodes do not answer: ${dead.join(', ')}`,
      },
      {
        title: 'Stop It and Start Anew',
        run: async () => {
          if (await this.stop({ confirmed: false })) await this.start();
        },
      },
    );
  }

  async #confirm(status: LabStatus): Promise<boolean> {
    const seen = this.#isSeen(status);
    const running = seen ? (this.cluster.snapshot?.jobs.filter((job) => !isOver(job)) ?? []) : [];
    if (seen && this.cluster.snapshot && running.length === 0) return true;
    const names = running.map(({ name }) => name).join(', ');
    const detail = running.length
      ? `${running.length === 1 ? 'This job' : `These ${running.length} jobs`} will be ended: ${names}.`
      : 'All jobs that run on it will be ended.';
    const stop = 'Stop and End Jobs';
    return (await ask('warning', 'Stop the local cluster?', detail, stop)) === stop;
  }

  /** The view may be on another agent, by its setting. */
  async #see(status: LabStatus): Promise<void> {
    this.cluster.reconnect();
    if (!this.#isSeen(status)) throw anotherAgent(this.cluster.socket, status);
    await this.cluster.ready(SEEN_WITHIN_MS);
    await this.cluster.until(({ nodes }) => nodes.every(({ state }) => state === 'up'), ACQUAINTED_WITHIN_MS);
  }

  /** Is it the cluster that the view shows? By a node's own socket, or a user's beside it. */
  #isSeen({ nodes }: LabStatus): boolean {
    const shown = this.cluster.socket;
    return nodes.some(({ socket }) => socket === shown || shown.startsWith(`${dirname(socket)}/`));
  }

  /** A user who may not ask its agents gets that as the error, with any exit status of the command. */
  async #status(): Promise<LabStatus> {
    const { refusal } = this.cluster;
    const refused = refusal?.code === 'not-admitted' ? refusal : undefined;
    const status = await this.#ask(['lab', 'status']).catch((error) => {
      throw refused ?? error;
    });
    if (refused && silent(status).length > 0) throw refused;
    return status;
  }

  #ask(args: string[]): Promise<LabStatus> {
    return this.command.ask(LabStatus, args, { code: 'lab-failed' });
  }

  /** A user who starts it with sudo gets the first node's socket: who may become root may have it. */
  #needsRoot(nodes: number) {
    const up = commandLine(['sudo', ...this.command.argv(['lab', 'up', '--nodes', String(nodes)])]);
    const own = `sudo chown "$(id -u)" ${commandLine([this.cluster.socket])}`;
    return inTerminal(
      'a local cluster makes network namespaces and cgroups, which only root may',
      `${up} && ${own}`,
    );
  }

  #needsRootToStop() {
    const down = commandLine(['sudo', ...this.command.argv(['lab', 'down'])]);
    return inTerminal('only root may take the local cluster down', down);
  }
}

const anotherAgent = (asked: string, { nodes }: LabStatus) =>
  new RemediedError(
    {
      code: 'another-agent',
      message: `the local cluster is up, but the agent that is asked here is ${asked}`,
    },
    {
      title: 'Show the Local Cluster',
      run: async () => {
        await workspace.getConfiguration('godwit').update('agent', nodes[0]?.socket);
      },
    },
  );

function inTerminal(message: string, line: string): RemediedError {
  return new RemediedError(
    { code: 'not-root', message, fix: 'start it with sudo in a terminal' },
    {
      title: 'Open a Terminal with sudo',
      run: () => {
        const terminal = openTerminal('Godwit');
        terminal.show();
        // It is the person who presses Enter.
        terminal.sendText(line, false);
      },
    },
  );
}

const isRoot = () => process.getuid?.() === 0;
const silent = ({ nodes }: LabStatus) => nodes.filter(({ state }) => state !== 'up').map(({ name }) => name);
const counted = (nodes: number) => `${nodes} node${nodes === 1 ? '' : 's'}`;
const listed = ({ nodes }: LabStatus) => nodes.map(({ name }) => name).join(', ');
