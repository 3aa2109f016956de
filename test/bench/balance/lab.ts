/**
 * Real jobs on nodes of 0.8, 0.4, 0.2 and 0.2 CPUs, all launched on the first: how long until the last has ended, beside
 * the bound that no scheduler gets below, which is all work over the speed of all nodes.
 */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { span } from '../../../agent/api/figures';
import { ask } from '../../../agent/client/agent';
import { inheritance } from '../../../agent/client/launcher';
import { labFolder } from '../../../agent/lab/description';
import { compile } from '../../support/c-programs';
import { Godwit } from '../../support/godwit';
import { inProject } from '../../support/project';

const LAB = `bench-${process.pid}`;
const CPUS = [0.8, 0.4, 0.2, 0.2];
const SPEED = CPUS.reduce((sum, cpus) => sum + cpus, 0);

/** Seconds of one CPU: very different, as jobs are; half of all work is in the three longest. In the order of launching. */
const SECONDS = [...[2, 24, 3, 5, 2, 8, 16, 3, 2, 12, 4, 2], ...[6, 3, 32, 2, 4, 10, 3, 2, 5, 20, 2, 4]];
const ALONE_SECONDS = 5;
const WAYS = {
  'no moving': { balance: 'off', on: 'home' },
  'placement only': { balance: 'off', on: 'best' },
  'placement and moves': { balance: 'on', on: 'auto' },
  'moves only': { balance: 'on', on: 'home' },
} as const;
type Way = keyof typeof WAYS;

interface Figures {
  /** From the first launch to the last end, s. */
  makespan: number;
  /** From a job's launch to its end, s. */
  meanCompletion: number;
  moves: number;
}

/** Prints a line for each way, and its ratio to the bound. @throws Error where a job fails */
export async function benchInLab(): Promise<Record<string, number>> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'godwit-bench-')));
  const program = await compile(inProject('test', 'bench', 'balance', 'work.c'), folder);
  const godwit = await Godwit.labUp(LAB, { nodes: CPUS.length, cpus: CPUS, temp: folder });
  const bench = new Bench(godwit, program, join(labFolder(LAB), 'node1', 'agent.sock'));
  try {
    const perSecond = await bench.calibrate();
    const bound = SECONDS.reduce((sum, one) => sum + one, 0) / SPEED;
    process.stdout.write(`${SECONDS.length} jobs, bound ${span(bound * 1000)}\n`);
    const flat: Record<string, number> = { bound };
    for (const way of Object.keys(WAYS) as Way[]) {
      const figures = await bench.run(way, perSecond);
      const ratio = figures.makespan / bound;
      process.stdout.write(
        `${way}: all in ${span(figures.makespan * 1000)}, ${ratio.toFixed(2)} times the bound; a job in ` +
          `${span(figures.meanCompletion * 1000)} on average; ${figures.moves} moves\n`,
      );
      flat[`${way}: ratio to the bound`] = ratio;
      flat[`${way}: mean completion, s`] = figures.meanCompletion;
      flat[`${way}: moves`] = figures.moves;
    }
    return flat;
  } finally {
    await Godwit.labDown(LAB);
    rmSync(folder, { recursive: true, force: true });
  }
}

class Bench {
  constructor(
    private readonly godwit: Godwit,
    private readonly program: string,
    private readonly socket: string,
  ) {}

  /** Rounds of the work that one CPU does in a second, in the same minutes as all else. */
  async calibrate(): Promise<number> {
    const rounds = 100 * ALONE_SECONDS;
    const { ms } = await this.#all([rounds], 'home');
    return rounds / ((ms / 1000) * CPUS[0]!);
  }

  async run(way: Way, perSecond: number): Promise<Figures> {
    const { balance, on } = WAYS[way];
    await this.godwit.text(['balance', balance]);
    const { ms, jobs } = await this.#all(
      SECONDS.map((seconds) => Math.round(seconds * perSecond)),
      on,
    );
    await this.godwit.text(['balance', 'off']);
    return {
      makespan: ms / 1000,
      meanCompletion: jobs.reduce((sum, job) => sum + job.ms, 0) / jobs.length / 1000,
      moves: jobs.reduce((sum, job) => sum + job.moves, 0),
    };
  }

  /** Launches all at once, on a connection that stays: the command itself would cost more than a short job. */
  async #all(rounds: readonly number[], on: string) {
    const begun = performance.now();
    const jobs = await ask(this.socket, async (agent) => {
      const launched = await Promise.all(
        rounds.map((count) => agent.call('jobs.run', this.#request(count, on))),
      );
      const waited = launched.map(async ({ id }) => {
        const { exit } = await agent.call('jobs.wait', { job: id }, { timeoutMs: Number.POSITIVE_INFINITY });
        if (exit !== 0) throw new Error(`job ${id} exited with ${exit}`);
        return { id, ms: performance.now() - begun };
      });
      return Promise.all(waited);
    });
    const ms = performance.now() - begun;
    const ended = await this.godwit.jobs();
    const movesOf = (id: string) => ended.find((job) => job.id === id)?.migrations ?? 0;
    return { ms, jobs: jobs.map((job) => ({ ...job, moves: movesOf(job.id) })) };
  }

  #request(rounds: number, on: string) {
    return {
      ...{ program: this.program, args: [`${rounds}`], cwd: '/', env: {}, node: on },
      ...{ stopped: false, limits: {}, ...inheritance() },
    };
  }
}
