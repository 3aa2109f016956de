/** `godwit run --count`: an array, left running or stayed with. */
import type { LaunchRequest } from '../../api/model';
import { type Agent, ask } from '../../client/agent';
import { each, endingOrder, findArray } from '../../client/arrays';
import { followConsoles, MOST_FOLLOWED, waitForAll, worst } from '../arrays';
import { Interruptions, type Target } from '../interruptions';
import { complain } from '../output';
import type { Invocation } from '../verb';
import { tellCutOf } from './logs';

export async function runArray(
  invocation: Invocation,
  request: LaunchRequest,
  count: number,
  detach = false,
): Promise<number | undefined> {
  const { socket } = invocation;
  if (detach) {
    const { id, jobs } = await launch(socket, request, count);
    await invocation.answer({ id, jobs }, id);
    return undefined;
  }
  invocation.refuseJson("its output is the programs', add --detach");
  if (count > MOST_FOLLOWED)
    invocation.misused(`the output of ${MOST_FOLLOWED} jobs can be followed at once: add --detach`);
  const interruptions = new Interruptions(socket);
  try {
    const array = await launch(socket, request, count);
    const { id, jobs, name } = array;
    interruptions.goTo(wholeArray(id));
    if (request.queue) complain(`array ${id} is queued: its jobs begin when nodes have room`);
    else if (request.stopped)
      complain(`the jobs of array ${id} are stopped before their first instruction; see \`godwit gdb\``);
    const indexed = jobs.map((job, index) => ({ ...job, index }));
    await followConsoles(socket, { jobs: indexed, count, name }, tellCutOf);
    return worst(await waitForAll(socket, jobs)).exit;
  } finally {
    interruptions.end();
  }
}

/** As long as the launches take. */
const launch = (socket: string, request: LaunchRequest, count: number) =>
  ask(socket, (agent) =>
    agent.call('jobs.runArray', { ...request, count }, { timeoutMs: Number.POSITIVE_INFINITY }),
  );

const wholeArray = (id: string): Target => ({
  what: `array ${id}`,
  send: async (agent: Agent, signal) => {
    const array = await findArray(agent, id);
    const left = endingOrder(array?.jobs ?? []).filter(({ stage }) => stage !== 'over');
    const outcomes = await each(left, ({ id: job }) => agent.call('jobs.kill', { job, signal }));
    const failed = outcomes.flatMap(({ result }) => ('error' in result ? [result.error] : []));
    const first = failed.find(({ code }) => code !== 'job-ended');
    if (first) throw first;
  },
});
