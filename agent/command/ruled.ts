/** What a person decides of a job's moves: of one job, or of each of an array's that has not ended. */
import { type Agent, ask } from '../client/agent';
import { jobOrArray, living, onEach } from './arrays';
import type { Invocation } from './verb';

export interface Ruling {
  rule: (agent: Agent, job: string) => Promise<{ id: string }>;
  /** What is answered besides the id. */
  said: Record<string, boolean>;
  /** Of one job, after its id; of an array, after its name. */
  one: string;
  all: string;
}

/** @returns the exit status */
export function ruleOn(
  invocation: Invocation,
  job: string,
  { rule, said, one, all }: Ruling,
): Promise<number> {
  const { socket } = invocation;
  const onOne = async () => {
    const { id } = await ask(socket, (agent) => rule(agent, job));
    await invocation.answer({ id, ...said }, `job ${id} ${one}`);
    return 0;
  };
  return jobOrArray(socket, job, onOne, async (array) => {
    const jobs = living(array);
    const { failed } = await onEach(socket, jobs, (agent, { id }) => rule(agent, id), {
      passed: ['job-ended'],
    });
    if (failed.length > 0) return 1;
    await invocation.answer({ id: array.id, ...said }, `array ${array.name}: ${all}`);
    return 0;
  });
}
