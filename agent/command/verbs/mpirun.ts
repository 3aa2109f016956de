import type { Command } from 'commander';
import { GodwitError, noSuchNode } from '../../api/errors';
import type { Node } from '../../api/model';
import { askSafely } from '../../client/agent';
import { findMpirun, settings } from '../mpi/open-mpi';
import { addAgentOption, type Invocation, perform } from '../verb';
import { names, runAttached } from './run';

/** Open MPI tells machines apart by their names: mpirun's own is none of the nodes'. */
const OWN_HOST = 'godwit-mpirun';
/** What mpirun starts its daemons by; people have no use for it. */
const DAEMON = 'mpi-daemon';
/** The name of the group, for its daemons. */
const NAMED = 'GODWIT_MPI_NAME';

export const addMpirun = (program: Command) =>
  addAgentOption(program.command('mpirun'))
    .summary('run an MPI program whose processes move')
    .description(
      'Runs a program of Open MPI over the nodes: mpirun and its daemon on each node are jobs with addresses of their own, ' +
        'which move like any others, their processes with them. They have one end: that of mpirun, whose exit status becomes ' +
        'this one; Ctrl-C goes to it. Only options before the first that is not listed here are taken; all others, the ' +
        'program and its arguments are mpirun’s.',
    )
    .usage('[--on <nodes>] [--name <name>] [mpirun-option...] <program> [arg...]')
    .argument('[arg...]', 'options of mpirun, the program and its arguments')
    .option(
      '--on <nodes>',
      'the nodes that processes are started on, "a,b,c"; all that take jobs without it',
      names,
    )
    .option('--name <name>', 'the name of the set; its daemons have it with their nodes’', 'mpirun')
    .allowUnknownOption()
    .passThroughOptions()
    .action(perform<{ on?: string[]; name: string }, [string[]]>(mpirun));

export const addMpiDaemon = (program: Command) =>
  addAgentOption(program.command(DAEMON, { hidden: true }))
    .description('What mpirun starts a daemon by: a job on that node.')
    .argument('<host>')
    .argument('<command...>')
    .passThroughOptions()
    .action(
      perform<object, [string, string[]]>((invocation, _options, host, command) =>
        runAttached(
          invocation,
          {
            ...{ on: host, hostname: host, address: true, env: {} },
            name: `${process.env[NAMED] ?? 'mpirun'}.${host}`,
          },
          '/bin/sh',
          // As a remote shell gets it.
          ['-c', command.join(' ')],
        ),
      ),
    );

async function mpirun(
  invocation: Invocation,
  { on, name }: { on?: string[]; name: string },
  args: string[],
): Promise<number | undefined> {
  if (args.length === 0) invocation.misused('say which program is to run');
  invocation.refuseJson('its output is the program’s');
  const file = await findMpirun(process.env.PATH);
  const { nodes } = await askSafely(invocation.socket, (agent) => agent.call('nodes.list', {}));
  const hosts = chosen(nodes, on).map(({ name: host, cpus }) => `${host}:${slots(cpus)}`);
  const env = { ...settings(process.env, [process.execPath, process.argv[1]!, DAEMON]), [NAMED]: name };
  return runAttached(
    invocation,
    { on: 'auto', hostname: OWN_HOST, address: true, env, name, group: name },
    file,
    ['-H', hosts.join(','), ...args],
  );
}

/** One at least, as on a machine that is a part of one. */
const slots = (cpus: number) => Math.max(1, Math.floor(cpus));

/** @throws `no-such-node`, `no-nodes` */
function chosen(nodes: Node[], on: string[] | undefined): Node[] {
  if (!on) {
    const open = nodes.filter(({ state }) => state === 'up');
    if (open.length === 0) throw noNodes();
    return open;
  }
  return on.map((wanted) => {
    const node = nodes.find(({ name }) => name === wanted);
    if (!node)
      throw noSuchNode(
        wanted,
        nodes.map(({ name }) => name),
      );
    return node;
  });
}

const noNodes = () =>
  new GodwitError({
    code: 'no-nodes',
    message: 'no node takes jobs now',
    fix: 'see `godwit nodes`; `godwit undrain` lets jobs come again',
  });
