import { type Command, InvalidArgumentError } from 'commander';
import { labName } from '../../client/agent-socket';
import { JOIN_VERB, joinHere } from '../../lab/join';
import { type LabStatus, labDown, labStatus, labUp } from '../../lab/lab';
import { write } from '../output';
import { findPrograms } from '../runtime';
import { bytes } from '../sizes';
import { type Column, table } from '../text';
import { addJsonOption, addLabOption, perform } from '../verb';

const COLUMNS: Column<LabStatus['nodes'][number]>[] = [
  { title: 'NAME', cell: ({ name }) => name },
  { title: 'ADDRESS', cell: ({ address }) => address },
  { title: 'STATE', cell: ({ state }) => state },
  { title: 'SOCKET', cell: ({ socket }) => socket },
  { title: 'WHY', cell: ({ why }) => why ?? '-' },
];

interface Named {
  name?: string;
}

export function addLab(program: Command): void {
  const lab = program
    .command('lab')
    .summary('a cluster on this machine: up, down, status')
    .description('A cluster on this machine: each node a network namespace with an agent of its own.');
  addUp(lab);
  addDown(lab);
  addStatus(lab);
  addJoin(lab);
}

interface Up extends Named {
  nodes?: number;
  cpus?: number[];
  memory?: number[];
  users?: string[];
}

const addUp = (lab: Command) =>
  addLabOption(addJsonOption(lab.command('up')))
    .description(
      'Makes the lab, or what one that is up has lost, and returns when each of its agents answers.',
    )
    .option('--nodes <number>', 'how many nodes; 3, or as many as --cpus or --memory has', count)
    .option('--cpus <shares>', 'the CPUs of each node, e.g. 1,0.5,0.25; without it each may use all', shares)
    .option('--memory <sizes>', 'the memory of each node for its jobs, e.g. 1G,512M', sizes)
    .option('--users <names>', 'who may use it besides root, e.g. ann,ben', names)
    .action(
      perform<Up>(async (invocation, { name, nodes, cpus, memory, users }) => {
        const status = await labUp({
          name: labName(name),
          nodes: nodes ?? cpus?.length ?? memory?.length,
          cpus,
          memory,
          users,
          programs: findPrograms(),
        });
        await invocation.answer(status, table(COLUMNS, status.nodes));
      }),
    );

const addDown = (lab: Command) =>
  addLabOption(addJsonOption(lab.command('down')))
    .description('Ends all that runs in the lab, and removes all that was made for it.')
    .action(
      perform<Named>(async (invocation, { name }) => {
        await labDown({ name: labName(name) });
        await invocation.answer({ nodes: [] }, `lab "${labName(name)}" is down`);
      }),
    );

const addStatus = (lab: Command) =>
  addLabOption(addJsonOption(lab.command('status')))
    .description("The lab's nodes, and whether their agents answer.")
    .action(
      perform<Named>(async (invocation, { name }) => {
        const status = await labStatus({ name: labName(name) });
        const none = `no lab "${labName(name)}" is up; start it with \`godwit lab up\``;
        await invocation.answer(status, status.nodes.length > 0 ? table(COLUMNS, status.nodes) : none);
      }),
    );

/** What `lab up` runs in the network of a node. */
const addJoin = (lab: Command) =>
  addLabOption(lab.command(JOIN_VERB, { hidden: true })).action(
    perform<Named>(async (_invocation, { name }) => {
      await write(JSON.stringify(await joinHere(labName(name))));
    }),
  );

const names = (text: string) =>
  text
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean);

function count(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

const sizes = (text: string): number[] => text.split(',').map((one) => bytes(one.trim()));

function shares(text: string): number[] {
  const cpus = text.split(',').map((share) => (share.trim() === '' ? Number.NaN : Number(share)));
  if (!cpus.every(Number.isFinite)) throw new InvalidArgumentError('It must be like 1,0.5,0.25.');
  return cpus;
}
