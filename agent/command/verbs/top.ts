import type { Command as Program } from 'commander';
import { asGodwitError } from '../../api/errors';
import { ask } from '../../client/agent';
import { moveText } from '../moves';
import { checkTerminal } from '../terminal';
import { frame, pageOf } from '../top/frame';
import { keysIn } from '../top/keys';
import { Screen } from '../top/screen';
import { type Command, FIRST, press, type Top } from '../top/state';
import { watchCluster } from '../top/watching';
import { addAgentOption, perform } from '../verb';
import { decide } from './balance';

export const addTop = (program: Program) =>
  addAgentOption(program.command('top'))
    .summary('nodes and jobs, live')
    .description(
      'Nodes and jobs as they are now, until q is typed. Keys act on the job that is chosen: m moves it, p pins and unpins ' +
        'it, k ends it; and on the node: d drains and undrains it. b has jobs move by themselves, or not.',
    )
    .action(
      perform(async (invocation) => {
        invocation.refuseJson('it is for people; `godwit nodes` and `godwit ps` are for programs');
        checkTerminal('use `godwit nodes` and `godwit ps`');
        await show(invocation.socket);
      }),
    );

/** Ended like this the terminal is left as it was. */
const ENDED_BY = ['SIGTERM', 'SIGHUP'] as const;

async function show(socket: string): Promise<void> {
  const over = new AbortController();
  const quit = () => over.abort();
  let top: Top = FIRST;
  const turn = (change: Partial<Top>) => {
    top = { ...top, ...change };
    screen.draw(frame(top, screen.size));
  };
  const typed = (text: string) => {
    for (const key of keysIn(text)) {
      const next = press(top, key, pageOf(top, screen.size));
      turn(next.top);
      if (next.command?.do === 'quit') return quit();
      if (next.command) void carryOut(socket, next.command, (message) => turn({ message }));
    }
  };
  const screen = new Screen(typed, () => turn({}));
  for (const signal of ENDED_BY) process.once(signal, quit);
  await screen.enter();
  try {
    turn({});
    await watchCluster(socket, over.signal, {
      shows: (snapshot) => turn({ snapshot, away: null }),
      away: (why) => {
        if (!over.signal.aborted) turn({ away: why });
      },
    });
  } finally {
    await screen.leave();
  }
}

const AS_LONG_AS_IT_TAKES = { timeoutMs: Number.POSITIVE_INFINITY };

/** Never rejects: what comes of it is said. */
async function carryOut(
  socket: string,
  command: Exclude<Command, { do: 'quit' }>,
  say: (message: string) => void,
): Promise<void> {
  try {
    switch (command.do) {
      case 'migrate':
        return await migrate(socket, command, say);
      case 'pin': {
        const { job, pinned } = command;
        await ask(socket, (agent) => agent.call('jobs.pin', { job, pinned }));
        return say(pinned ? `${job} stays on its node` : `${job} may move`);
      }
      case 'end':
        await ask(socket, (agent) => agent.call('jobs.kill', { job: command.job, signal: 'SIGTERM' }));
        return say(`SIGTERM sent to ${command.job}`);
      case 'drain': {
        const { node, draining } = command;
        await decide(socket, node, { draining });
        return say(draining ? `jobs leave ${node}, and none comes to it` : `jobs may come to ${node} again`);
      }
      case 'balance':
        return say(await turnBalance(socket));
    }
  } catch (error) {
    say(asGodwitError(error).toLine());
  }
}

async function migrate(
  socket: string,
  { job, node }: Extract<Command, { do: 'migrate' }>,
  say: (message: string) => void,
): Promise<void> {
  say(`${job} is moving to ${node}…`);
  const params = { job, node, transfer: 'auto' as const };
  const report = await ask(socket, (agent) => agent.call('jobs.migrate', params, AS_LONG_AS_IT_TAKES));
  say(`${job} moved from ${report.from} to ${report.to}: ${moveText(report)}`);
}

async function turnBalance(socket: string): Promise<string> {
  const { on } = await ask(socket, (agent) => agent.call('balance.status', {}));
  await decide(socket, null, { balancing: !on });
  return on
    ? 'jobs stay where they are until they are moved'
    : 'jobs move by themselves to where they run best';
}
