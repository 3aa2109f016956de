/** Jobs that move by themselves, and what a person decides of nodes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Argument, type Command, InvalidArgumentError } from 'commander';
import type { BalanceStatus } from '../../api/client-contract';
import { asGodwitError, GodwitError } from '../../api/errors';
import type { Job, MoveReport } from '../../api/model';
import type { RuleChange } from '../../api/node-rules';
import { type Agent, ask } from '../../client/agent';
import { listJobs } from '../../client/lists';
import { moveText } from '../moves';
import { complain } from '../output';
import { ruleOn } from '../ruled';
import { type Column, figure, table } from '../text';
import { addAgentOption, addJsonOption, type Invocation, perform } from '../verb';

/** Between two looks at a node that becomes empty: moves take longer. */
const LOOK_MS = 500;
/** What is in the way of a move may be gone in a moment; what is said of all that is left so many times is final. */
const LOOKS = 4;

type Action = 'on' | 'off' | 'status';

const NODE = () => new Argument('<node>', "a node's name");

const COLUMNS: Column<BalanceStatus['nodes'][number]>[] = [
  { title: 'NAME', cell: ({ name }) => name },
  { title: 'BALANCE', cell: ({ on }) => (on === null ? '' : on ? 'on' : 'off') },
  { title: 'COST', cell: ({ cost }) => (cost === null ? '' : figure(cost)), figure: true },
  { title: 'WHY', cell: ({ why }) => why },
];

export const addBalance = (program: Command) =>
  addAgentOption(addJsonOption(program.command('balance')))
    .summary('whether jobs move by themselves')
    .description(
      'Whether jobs move by themselves to where they run best. With "on" or "off" it is decided for all nodes, for one ' +
        '(for the jobs that call it home), or for a job, which moves by itself if both it and its home may. The cost of a ' +
        'node is how much longer all there take when one more thread comes.',
    )
    .addArgument(new Argument('[action]').choices(['on', 'off', 'status']).default('status'))
    .argument('[of]', "a node's name, or a job; all nodes if left out")
    .action(
      perform<object, [Action, string | undefined]>(async (invocation, _options, action, of) => {
        const { socket } = invocation;
        if (of !== undefined && !(await isNode(socket, of))) return balanceJob(invocation, action, of);
        if (action !== 'status') await decide(socket, of ?? null, { balancing: action === 'on' });
        const status = await ask(socket, (agent) => agent.call('balance.status', {}));
        await invocation.answer(status, table(COLUMNS, status.nodes));
        return 0;
      }),
    );

async function isNode(socket: string, of: string): Promise<boolean> {
  const { nodes } = await ask(socket, (agent) => agent.call('nodes.list', {}));
  return nodes.some(({ name }) => name === of);
}

/** Of a job, or of each of an array's. */
async function balanceJob(invocation: Invocation, action: Action, job: string): Promise<number> {
  if (action === 'status') {
    const { id, text } = await ask(invocation.socket, (agent) => agent.call('jobs.placed', { job }));
    await invocation.answer({ id, why: text }, text);
    return 0;
  }
  const balanced = action === 'on';
  return ruleOn(invocation, job, {
    rule: (agent, id) => agent.call('jobs.balance', { job: id, balanced }),
    said: { balanced },
    one: balanced ? 'moves by itself where jobs of its home do' : 'moves only when told',
    all: balanced
      ? 'its jobs move by themselves where jobs of their home do'
      : 'its jobs move only when told',
  });
}

/** @param node null: of all @throws GodwitError the reason of the one node that could not be told */
export async function decide(socket: string, node: string | null, rule: RuleChange): Promise<void> {
  const nodes = node === null ? null : [node];
  const { unheard } = await ask(socket, (agent) => agent.call('nodes.rule', { nodes, rule }));
  for (const { name, why } of unheard) {
    if (node !== null)
      throw new GodwitError({ code: 'node-unreachable', message: `${name} was not told: ${why}` });
    complain(`${name} was not told: ${why}`);
  }
}

export const addDrain = (program: Command) =>
  addAgentOption(addJsonOption(program.command('drain')))
    .summary('empty a node')
    .description(
      'No job comes to the node any more, and those that are there move to others. Returns when it is empty, or says what ' +
        'stays and why.',
    )
    .addArgument(NODE())
    .action(
      perform<object, [string]>(async (invocation, _options, node) => {
        await decide(invocation.socket, node, { draining: true });
        const left = await emptied(invocation.socket, node);
        const text =
          left.length === 0 ? `${node} is empty` : left.map(({ job, why }) => `${job}: ${why}`).join('\n');
        await invocation.answer({ node, left }, text);
        return left.length === 0 ? 0 : 1;
      }),
    );

interface Left {
  job: string;
  why: string;
}

/** Until nothing is there, or nothing that is there will leave. */
async function emptied(socket: string, node: string): Promise<Left[]> {
  for (let settled = 0; ; ) {
    const { left, final } = await ask(socket, (agent) => leftOn(agent, node));
    if (left.length === 0) return left;
    settled = final ? settled + 1 : 0;
    if (settled >= LOOKS) return left;
    await sleep(LOOK_MS);
  }
}

async function leftOn(agent: Agent, node: string): Promise<{ left: Left[]; final: boolean }> {
  const jobs = (await listJobs(agent, { ended: false })).filter(
    (job) => job.node === node && job.ended === null,
  );
  const left: Left[] = [];
  let final = true;
  for (const { id } of jobs) {
    const said = await agent.call('jobs.placed', { job: id }).catch(asGodwitError);
    if (said instanceof GodwitError) left.push({ job: id, why: said.message });
    else left.push({ job: id, why: said.text });
    // Its home has not heard yet that the node is drained.
    if (!(said instanceof GodwitError) && (!said.lasting || said.because === 'off')) final = false;
  }
  return { left, final };
}

export const addUndrain = (program: Command) =>
  addAgentOption(addJsonOption(program.command('undrain')))
    .summary('let jobs come to a drained node again')
    .description('Lets jobs come to a node again that was drained.')
    .addArgument(NODE())
    .action(
      perform<object, [string]>(async (invocation, _options, node) => {
        await decide(invocation.socket, node, { draining: false });
        await invocation.answer({ node }, `jobs may come to ${node} again`);
      }),
    );

export const addSpeed = (program: Command) =>
  addAgentOption(addJsonOption(program.command('speed')))
    .summary('say how fast a node is')
    .description(
      "Says how fast a node's CPUs are, the reference machine's being 1; or has it measured again.",
    )
    .addArgument(NODE())
    .addArgument(new Argument('<speed>', 'like 1.5, or "auto"').argParser(speedOf))
    .action(
      perform<object, [string, number | null]>(async (invocation, _options, node, speed) => {
        await decide(invocation.socket, node, { speed });
        await invocation.answer({ node, speed }, `the speed of ${node} is ${speed ?? 'what it measured'}`);
      }),
    );

function speedOf(text: string): number | null {
  const speed = Number(text);
  if (text === 'auto') return null;
  if (!(speed >= 0.01 && speed <= 8))
    throw new InvalidArgumentError('It must be between 0.01 and 8, or "auto".');
  return speed;
}

export const addBring = (program: Command) =>
  addAgentOption(addJsonOption(program.command('bring')))
    .summary('move jobs back to their home')
    .description(
      'Moves the jobs that are away from the node, which is their home, back to it; your own ones if you are not root. ' +
        'Where balance is on, they may leave again.',
    )
    .argument('[node]', 'the home; the asked node if left out')
    .action(
      perform<object, [string | undefined]>(async (invocation, _options, node) => {
        const { moved, left } = await ask(invocation.socket, (agent) => bring(agent, node ?? agent.name));
        const lines = [
          ...moved.map(
            (report) => `job ${report.job} moved from ${report.from} to ${report.to}: ${moveText(report)}`,
          ),
          ...left.map(({ job, why }) => `job ${job} stays: ${why}`),
        ];
        await invocation.answer({ moved, left }, lines.join('\n') || 'no job is away');
        return left.length === 0 ? 0 : 1;
      }),
    );

/** One after the other: a node takes one at a time. */
async function bring(agent: Agent, home: string): Promise<{ moved: MoveReport[]; left: Left[] }> {
  const away = (await listJobs(agent, { ended: false })).filter((job) => isAway(job, home));
  const moved: MoveReport[] = [];
  const left: Left[] = [];
  for (const { id: job } of away) {
    const asked = { job, node: 'home', transfer: 'auto' } as const;
    const answer = await agent
      .call('jobs.migrate', asked, { timeoutMs: Number.POSITIVE_INFINITY })
      .catch((error) => asGodwitError(error));
    if (!(answer instanceof GodwitError)) moved.push(answer);
    else if (!OVER.has(answer.code)) left.push({ job, why: answer.message });
  }
  return { moved, left };
}

const isAway = (job: Job, home: string) => job.home === home && job.node !== home && job.ended === null;
/** Another's, or one that is home or over by now. */
const OVER: ReadonlySet<string> = new Set(['not-yours', 'already-there', 'job-ended']);
