import { text as readAll } from 'node:stream/consumers';
import type { Command } from 'commander';
import type { ClusterStatus } from '../../api/client-contract';
import { DEFAULT_CONFIG } from '../../api/config';
import { ask } from '../../client/agent';
import { initCluster } from '../../joining/init';
import { joinCluster } from '../../joining/join';
import { leaveCluster } from '../../joining/leave';
import { configFile, type NodeRequest } from '../../joining/node-settings';
import { machineService, type Service } from '../../joining/service';
import { checks } from '../doctor';
import { duration } from '../duration';
import { checksFailed } from '../errors';
import { note } from '../output';
import { findPrograms } from '../runtime';
import { inSteps } from '../steps';
import { type Column, table } from '../text';
import { addAgentOption, addJsonOption, perform } from '../verb';
import { addAdd, uninstall } from './cluster-ssh';

/** The authority tells all others of a removal before it answers. */
const REMOVE_TIMEOUT_MS = 120_000;

export function addCluster(program: Command): void {
  const cluster = program
    .command('cluster')
    .summary('machines that become one cluster: init, token, join, add, leave, remove, status')
    .description('Makes a cluster of several machines, with one line to paste on each of them.');
  for (const add of [addInit, addToken, addJoin, addAdd, addLeave, addRemove, addStatus]) add(cluster);
}

const addNodeOptions = (command: Command): Command =>
  command
    .option('--name <node>', "the node's name; without it the machine's host name")
    .option(
      '--listen <address>',
      'where the other nodes reach it, ADDRESS[:PORT]; found by itself, port 7420',
    )
    .option('--state <folder>', 'where it keeps everything; /var/lib/godwit/node without it')
    .option('--socket <path>', 'its Unix socket; /run/godwit/agent.sock without it')
    .option(
      '--config <file>',
      `its configuration, ${DEFAULT_CONFIG} or in --state; what is set there already is kept`,
    )
    .option('--no-service', 'the agent is started by itself, not by systemd');

interface NodeOptions extends NodeRequest {
  service: boolean;
}

const addInit = (cluster: Command) =>
  addJsonOption(addNodeOptions(cluster.command('init')))
    .description('This machine becomes the first node of a cluster, and has its authority.')
    .action(
      perform<NodeOptions>(async (invocation, options) => {
        await assertFit();
        const node = await inSteps((step) => initCluster(options, service(options, step)));
        const text = [
          `${node.name} at ${node.address} is the first node of a cluster, ${node.fingerprint}`,
          'For each machine that is to join, run `godwit cluster token` here, and what it prints there.',
        ];
        await invocation.answer(node, text.join('\n'));
      }),
    );

const addJoin = (cluster: Command) =>
  addJsonOption(addNodeOptions(cluster.command('join')))
    .description('This machine becomes a node of a cluster. Returns when it is up and reaches another one.')
    .argument('<token>', 'the line that `godwit cluster token` has printed; - reads it from standard input')
    .action(
      perform<NodeOptions, [string]>(async (invocation, options, given) => {
        const token = given === '-' ? (await readAll(process.stdin)).trim() : given;
        await assertFit();
        const node = await inSteps((step) => joinCluster(token, options, service(options, step)));
        await invocation.answer(node, `${node.name} at ${node.address} has joined; see \`godwit nodes\``);
      }),
    );

const addToken = (cluster: Command) =>
  addAgentOption(addJsonOption(cluster.command('token')))
    .description('Prints one line with which one machine may join.')
    .option('--ttl <time>', 'how long it is good: 30m, 1h, 7d', duration, duration('1h'))
    .action(
      perform<{ ttl: number }>(async (invocation, { ttl }) => {
        const made = await ask(invocation.socket, (agent) => agent.call('cluster.token', { ttlMs: ttl }));
        await invocation.answer(made, `godwit cluster join ${made.token}`);
        if (!invocation.json)
          note(`run this on the machine that is to join; it is good once, until ${made.expires}`);
      }),
    );

const addLeave = (cluster: Command) =>
  addAgentOption(addJsonOption(cluster.command('leave')))
    .description('Takes this machine out of its cluster, and its agent away. It must have no jobs.')
    .option('--state <folder>', 'its folder, where that was given when it joined')
    .option('--config <file>', 'its configuration, where that was given')
    .option('--force', 'though it has jobs, which are lost, or the authority does not answer')
    .action(
      perform<Pick<NodeRequest, 'state' | 'config'> & { force?: true }>(async (invocation, options) => {
        const left = await leaveCluster(configFile(options), options.force === true, note);
        await invocation.answer(left, `${left.name} has left${unheardText(left.unheard)}`);
      }),
    );

interface Remove {
  force?: true;
  uninstall?: true;
  host?: string;
}

const addRemove = (cluster: Command) =>
  addAgentOption(addJsonOption(cluster.command('remove')))
    .description(
      'Takes another node out of the cluster, on the node that has the authority. Nothing is done there, unless with --uninstall.',
    )
    .usage('[options] <node> [-- ssh-option...]')
    .argument('<node>', 'its name')
    .argument('[ssh-option...]', 'given to ssh, with --uninstall')
    .option('--force', 'though it has jobs')
    .option('--uninstall', 'also take Godwit, and all that the node has kept, away from it, by ssh')
    .option('--host <host>', 'with --uninstall: where ssh finds it, [USER@]HOST; its address without it')
    .action(
      perform<Remove, [string, string[]]>(async (invocation, options, node, sshOptions) => {
        if (!options.uninstall && (options.host || sshOptions.length > 0))
          invocation.misused('--host and options for ssh go with --uninstall');
        const force = options.force === true;
        const { unheard } = options.uninstall
          ? await uninstall(invocation.socket, { node, force, sshOptions, host: options.host })
          : await ask(invocation.socket, (agent) =>
              agent.call('cluster.remove', { node, force }, { timeoutMs: REMOVE_TIMEOUT_MS }),
            );
        await invocation.answer({ node, unheard }, `${node} is no member any more${unheardText(unheard)}`);
      }),
    );

const COLUMNS: Column<ClusterStatus['nodes'][number]>[] = [
  { title: 'NAME', cell: ({ name }) => name },
  {
    title: 'ADDRESS',
    cell: ({ address, port }) => (address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`),
  },
  { title: 'STATE', cell: ({ state }) => state },
];

const addStatus = (cluster: Command) =>
  addAgentOption(addJsonOption(cluster.command('status')))
    .description(
      'Who is in the cluster, who can let others in, and how long certificates and tokens are good.',
    )
    .action(
      perform(async (invocation) => {
        const status = await ask(invocation.socket, (agent) => agent.call('cluster.status', {}));
        await invocation.answer(status, `${statusText(status)}\n${table(COLUMNS, status.nodes)}`);
      }),
    );

const statusText = ({ name, authority, authorityNode, certificateExpires, keeper, tokens }: ClusterStatus) =>
  [
    `cluster ${authority}`,
    `authority: ${authorityNode ?? 'no node has its key'}`,
    `certificate of ${name}: good until ${certificateExpires}`,
    ...(keeper ? [`keeper of ${name}: of version ${keeper.version}, stays as ${keeper.holds}`] : []),
    ...tokens.map(({ id, expires }) => `token ${id}: good until ${expires}`),
  ].join('\n');

const unheardText = (unheard: string[]) =>
  unheard.length > 0 ? `; not heard yet by ${unheard.join(', ')}, which will ask` : '';

/** @throws GodwitError `checks-failed` */
async function assertFit(): Promise<void> {
  const found = await checks();
  const failed = found.filter(({ ok }) => !ok);
  for (const { check, found: what, fix } of failed) note(`${check}: ${what}${fix ? `; ${fix}` : ''}`);
  if (failed.length > 0)
    throw checksFailed(
      failed.map(({ check }) => check),
      found.length,
    );
}

/** What makes the agent run, of a node that is made here. */
const service = ({ service: systemd }: NodeOptions, step: Service['step']): Service =>
  machineService({ programs: findPrograms(), systemd }, step);
