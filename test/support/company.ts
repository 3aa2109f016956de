/** Jobs that compute beside the one that is struck, on a cluster whose balance is on: they move as it likes. */
import type { FaultLab } from './fault-lab';

/** More than one of a node's processors wants to run: some leave. */
const COUNT = 4;
/** Of what others leave: the faults are what is tried, not the machine. */
const COMPUTES = ['-n', '19', 'sh', '-c', 'while :; do :; done'];

export class Company {
  private constructor(
    private readonly lab: FaultLab,
    private readonly home: string,
    private readonly jobs: string[],
  ) {}

  static async begin(lab: FaultLab, home: string): Promise<Company> {
    const request = {
      program: '/usr/bin/nice',
      args: COMPUTES,
      cwd: '/',
      env: {},
      stopped: false,
      node: home,
    };
    const jobs: string[] = [];
    for (let at = 0; at < COUNT; at++) jobs.push((await lab.ask(home, 'jobs.run', request)).id);
    await balance(lab, true);
    return new Company(lab, home, jobs);
  }

  /**
   * Each still runs as one copy, where its home says, or is said to be lost where a fault may have done that; then they
   * end. @returns the moves that balance made @throws Error with what is wrong
   */
  async ends(mayLose: boolean): Promise<number> {
    await balance(this.lab, false);
    let moves = 0;
    for (const id of this.jobs) {
      await this.lab.comesTo(() => this.#complaint(id, mayLose));
      moves += (await this.#seen(id))?.migrations ?? 0;
      await this.lab.ask(this.home, 'jobs.kill', { job: id, signal: 'SIGKILL' }).catch((error) => {
        if (!mayLose) throw error;
      });
    }
    return moves;
  }

  /** Whatever has become of them. */
  async abandon(): Promise<void> {
    await balance(this.lab, false);
  }

  async #seen(id: string) {
    const { jobs } = await this.lab.ask(this.home, 'jobs.list', { ended: true });
    return jobs.find((job) => job.id === id);
  }

  async #complaint(id: string, mayLose: boolean): Promise<string | null> {
    const job = await this.#seen(id);
    if (!job) return `${this.home} does not know ${id}`;
    if (job.state === 'lost' && mayLose) return null;
    const copies = (await this.lab.copies()).filter((copy) => copy.includes(`/${id}.`));
    if (job.state !== 'running') return `${id}, which computes, is ${job.state}`;
    if (copies.length !== 1)
      return `${id}, which computes, has ${copies.length} copies: ${copies.join(', ')}`;
    return copies[0]!.startsWith(`${job.node}/`) ? null : `its copy is ${copies[0]}, its host ${job.node}`;
  }
}

const balance = (lab: FaultLab, balancing: boolean) =>
  lab.ask('node1', 'nodes.rule', { nodes: null, rule: { balancing } });
