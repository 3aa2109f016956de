/** Ctrl-C while a job's output is on the terminal. */
import { asGodwitError } from '../api/errors';
import { exitStatusOf } from '../api/signals';
import { askThroughRestarts } from '../client/agent';
import { complain } from './output';

const FORWARDED = ['SIGINT', 'SIGTERM'] as const;

/** The first signal goes to the job; with the second the command ends and leaves the job alone. */
export class Interruptions {
  private job: string | undefined;
  private first: NodeJS.Signals | undefined;

  constructor(private readonly socket: string) {
    for (const signal of FORWARDED) process.on(signal, this.take);
  }

  /** The job has been launched: it gets what has come before, too. */
  goTo(job: string): void {
    this.job = job;
    if (this.first) void this.forward(job, this.first);
  }

  end(): void {
    for (const signal of FORWARDED) process.off(signal, this.take);
  }

  private readonly take = (signal: NodeJS.Signals): void => {
    if (this.first) this.leave(signal);
    this.first = signal;
    if (this.job) void this.forward(this.job, signal);
  };

  private leave(signal: NodeJS.Signals): never {
    const which = this.job ? `job ${this.job}` : 'the job';
    complain(`${which} runs on; see \`godwit ps\`, \`godwit logs -f\` and \`godwit kill\``);
    process.exit(exitStatusOf(signal));
  }

  private async forward(job: string, signal: NodeJS.Signals): Promise<void> {
    try {
      await askThroughRestarts(this.socket, (agent) => agent.call('jobs.kill', { job, signal }), {
        accepted: true,
      });
    } catch (error) {
      const why = asGodwitError(error);
      // Then its end is on the way here.
      if (why.code !== 'job-ended') complain(`${signal} did not reach job ${job}: ${why.message}`);
    }
  }
}
