/** Jobs that compute beside the one that is struck, on a cluster whose balance is on: they move as it likes. */
import { FaultJob, type FaultLab } from './fault-lab';
import type { Fault } from './faults';

/** More than one of a node's processors wants to run: some leave. */
const COUNT = 4;
/** Of what others leave: the faults are what is tried, not the machine. */
const COMPUTES = ['-n', '19', 'sh', '-c', 'while :; do :; done'];

export class Company {
  #mayLose = false;

  private constructor(
    private readonly lab: FaultLab,
    private readonly jobs: readonly FaultJob[],
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
    const jobs: FaultJob[] = [];
    for (let at = 0; at < COUNT; at++)
      jobs.push(new FaultJob(lab, (await lab.ask(home, 'jobs.run', request)).id, home));
    await lab.balance(true);
    return new Company(lab, jobs);
  }

  /** Something has been struck beside them, which may be a part of theirs. */
  struck({ mayLose }: Fault): void {
    if (mayLose === 'always') this.#mayLose = true;
  }

  /**
   * Each still runs as one copy, where its home says, or is said to be lost where a fault may have done that; then they
   * end. @returns the moves that balance made @throws Error with what is wrong
   */
  async ends(): Promise<number> {
    await this.lab.balance(false);
    let moves = 0;
    for (const job of this.jobs) {
      await job.settles(this.#mayLose).catch(async (error) => {
        if (!this.#mayLose || (await job.seen()).state !== 'lost') throw error;
      });
      const { id, state, migrations } = await job.seen();
      if (state !== 'running' && !(this.#mayLose && state === 'lost'))
        throw new Error(`${id}, which computes, is ${state}`);
      moves += migrations;
      await job.signal('SIGKILL').catch((error) => {
        if (!this.#mayLose) throw error;
      });
    }
    return moves;
  }
}
