/** What all verbs have in common: the options that go with each, and the answer as text or as JSON. */
import { Argument, type Command } from 'commander';
import { findSocket } from '../client/agent-socket';
import { write } from './output';

export const JOB = () => new Argument('<job>', "a job's id, a unique prefix of it, or its name");

export const addJsonOption = (command: Command): Command =>
  command.option('--json', 'exactly one JSON value on stdout, nothing else');

export const addAgentOption = (command: Command): Command =>
  command.option('--agent <socket>', 'the agent to ask, by its Unix socket');

export const addLabOption = (command: Command): Command =>
  command.option('--name <name>', 'the lab, by default $GODWIT_LAB or "lab"');

/** One call of a verb. */
export class Invocation {
  constructor(private readonly command: Command) {}

  get json(): boolean {
    return this.option('json') === true;
  }

  /** The socket of the agent to ask. @throws GodwitError `bad-lab` */
  get socket(): string {
    return findSocket(this.option('agent') as string | undefined);
  }

  /** Ends the command with exit status 2. */
  misused(why: string): never {
    return this.command.error(why);
  }

  /** For verbs that answer with something else than one value. */
  refuseJson(instead: string): void {
    if (this.json) this.misused(`--json does not go with this: ${instead}`);
  }

  async answer(value: unknown, text: string): Promise<void> {
    if (this.json) await write(`${JSON.stringify(value)}\n`);
    else if (text) await write(`${text}\n`);
  }

  /** Given behind the verb or before it. */
  private option(name: string): unknown {
    let value: unknown;
    for (let command: Command | null = this.command; command && value === undefined; command = command.parent)
      value = command.opts()[name];
    return value;
  }
}

/**
 * A verb's action for commander: `work` gets the call, the arguments and the options, and may return an exit status
 * other than 0.
 */
export function perform<Options, Arguments extends unknown[] = []>(
  // biome-ignore lint/suspicious/noConfusingVoidType: most verbs return nothing, which is 0
  work: (invocation: Invocation, options: Options, ...args: Arguments) => Promise<number | void>,
): (...received: unknown[]) => Promise<void> {
  return async (...received) => {
    const command = received.pop() as Command;
    const options = received.pop() as Options;
    process.exitCode = (await work(new Invocation(command), options, ...(received as Arguments))) ?? 0;
  };
}
