/** Ctrl-C while a job's output is on the terminal. */
import { asGodwitError } from '../api/errors';
import { exitStatusOf } from '../api/signals';
import { type Agent, askThroughRestarts } from '../client/agent';
import { complain } from './output';

const FORWARDED = ['SIGINT', 'SIGTERM'] as const;

/** What gets the signals. */
export interface Target {
  /** `job abcdefghij` */
  what: string;
  send: (agent: Agent, signal: NodeJS.Signals) => Promise<unknown>;
}

export const oneJob = (job: string): Target => ({
  what: `job ${job}`,
  send: (agent, signal) => agent.call('jobs.kill', { job, signal }),
});

/** The first signal goes to the job, or to all; with the second the command ends and leaves the job alone. */
export class Interruptions {
  private target: Target | undefined;
  private first: NodeJS.Signals | undefined;

  constructor(private readonly socket: string) {
    for (const signal of FORWARDED) process.on(signal, this.take);
  }

  /** The job has been launched: it gets what has come before, too. */
  goTo(target: Target): void {
    this.target = target;
    if (this.first) void this.forward(target, this.first);
  }

  end(): void {
    for (const signal of FORWARDED) process.off(signal, this.take);
  }

  private readonly take = (signal: NodeJS.Signals): void => {
    if (this.first) this.leave(signal);
    this.first = signal;
    if (this.target) void this.forward(this.target, signal);
  };

  private leave(signal: NodeJS.Signals): never {
    const what = this.target?.what ?? 'the job';
    complain(`${what} runs on; see \`godwit ps\`, \`godwit logs -f\` and \`godwit kill\``);
    process.exit(exitStatusOf(signal));
  }

  private async forward({ what, send }: Target, signal: NodeJS.Signals): Promise<void> {
    try {
      await askThroughRestarts(this.socket, (agent) => send(agent, signal), { accepted: true });
    } catch (error) {
      const why = asGodwitError(error);
      // Then its end is on the way here.
      if (why.code !== 'job-ended') complain(`${signal} did not reach ${what}: ${why.message}`);
    }
  }
}
