/** What a person decides of a job whose home or host is gone for good: the copy that is left runs on, or is cleared away. */
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { asGodwitError } from '../../api/errors';
import { printable } from '../../api/text';
import { ask } from '../../client/agent';
import { addAgentOption, addJsonOption, JOB, perform } from '../verb';

type Verb = 'adopt' | 'forget';
interface Texts {
  summary: string;
  description: string;
  yes: string;
  result: (id: string, node: string) => string;
}

const TEXTS: Record<Verb, Texts> = {
  adopt: {
    summary: 'let the copy run on that a lost node has left',
    description:
      'Lets the copy of a job run on whose home, or the node to which it was moving, is gone for good. It is asked of ' +
      'the node that has the copy, which becomes the home, or of the home where that is there. If the lost node is only ' +
      'cut off there may be two copies, until it hears of this and its own is ended: so the risk is said first, ' +
      "and only --yes or the answer 'yes' has it done. A job that needs files of the lost node is refused by name.",
    yes: 'knowing the risk, without being asked',
    result: (id, node) => `job ${id} runs on at ${node}`,
  },
  forget: {
    summary: 'clear away what a lost node has left of a job',
    description:
      'Clears away the copy of a job whose home is gone for good, or gives a job up whose host is. If the lost node ' +
      'comes back it hears of that, and what it still has of the job is ended.',
    yes: 'knowing the risk, without being asked',
    result: (id, node) => `what was left of job ${id} on ${node} is cleared away`,
  },
};

const addDeciding = (verb: Verb) => (program: Command) =>
  addAgentOption(addJsonOption(program.command(verb)))
    .summary(TEXTS[verb].summary)
    .description(TEXTS[verb].description)
    .addArgument(JOB())
    .option('-y, --yes', TEXTS[verb].yes)
    .action(
      perform<{ yes?: true }, [string]>(async (invocation, { yes = false }, job) => {
        // A frozen copy may be large, and each of its debuggers takes a moment.
        const decide = (confirmed: boolean) =>
          ask(invocation.socket, (agent) =>
            agent.call(`jobs.${verb}`, { job, confirmed }, { timeoutMs: Number.POSITIVE_INFINITY }),
          );
        const left = await decide(yes).catch(async (error) => {
          const { code, message } = asGodwitError(error);
          if (code !== 'not-confirmed' || !(await agreed(verb, message))) throw error;
          return decide(true);
        });
        await invocation.answer(left, TEXTS[verb].result(left.id, left.node));
      }),
    );

export const addAdopt = addDeciding('adopt');
export const addForget = addDeciding('forget');

/** Only a person at a terminal can agree. */
async function agreed(verb: Verb, risk: string): Promise<boolean> {
  const { stdin: input, stderr: output } = process;
  if (!input.isTTY || !output.isTTY) return false;
  const reader = createInterface({ input, output });
  try {
    const answer = await reader.question(
      `${printable(risk)}\nDo you want to ${verb} it all the same? (yes/no) `,
    );
    return /^\s*(y|yes)\s*$/i.test(answer);
  } finally {
    reader.close();
  }
}
