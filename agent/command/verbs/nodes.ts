import type { Command } from 'commander';
import { age } from '../../api/figures';
import type { Node } from '../../api/model';
import { askSafely } from '../../client/agent';
import { type Column, figure, size, table } from '../text';
import { addAgentOption, addJsonOption, perform } from '../verb';

export const NODE_COLUMNS: Column<Node>[] = [
  { title: 'NAME', cell: ({ name }) => name },
  { title: 'ADDRESS', cell: ({ address }) => address },
  {
    title: 'STATE',
    cell: ({ state, silentMs }) => (silentMs === undefined ? state : `${state} for ${age(silentMs)}`),
  },
  { title: 'CPUS', cell: ({ cpus }) => figure(cpus), figure: true },
  { title: 'SPEED', cell: ({ speed }) => figure(speed), figure: true },
  { title: 'LOAD', cell: ({ load }) => figure(load), figure: true },
  { title: 'MEMORY', cell: ({ memTotal }) => size(memTotal), figure: true },
  { title: 'FREE', cell: ({ memFree }) => size(memFree), figure: true },
  { title: 'JOBS', cell: ({ jobs }) => String(jobs), figure: true },
];

export const addNodes = (program: Command) =>
  addAgentOption(addJsonOption(program.command('nodes')))
    .summary('the nodes of the cluster')
    .description('The nodes of the cluster, as the asked agent knows them.')
    .action(
      perform(async (invocation) => {
        const { nodes } = await askSafely(invocation.socket, (agent) => agent.call('nodes.list', {}));
        await invocation.answer(nodes, table(NODE_COLUMNS, nodes));
      }),
    );
