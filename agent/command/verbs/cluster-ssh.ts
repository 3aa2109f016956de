/** `godwit cluster add` and `cluster remove --uninstall`: another machine by ssh. */
import type { Command } from 'commander';
import { version } from '../../../package.json';
import type { ClusterStatus } from '../../api/client-contract';
import { noSuchNode } from '../../api/errors';
import { ask } from '../../client/agent';
import { type AddRequest, addMachine } from '../../joining/by-ssh/add';
import { uninstallNode } from '../../joining/by-ssh/remove';
import { findPrograms } from '../runtime';
import { inSteps } from '../steps';
import { addAgentOption, addJsonOption, perform } from '../verb';

/** Of the token that the machine gets: it is used at once. */
const TOKEN_MS = 10 * 60_000;

interface Add extends Pick<AddRequest, 'name' | 'listen' | 'service'> {}

export const addAdd = (cluster: Command) =>
  addAgentOption(addJsonOption(cluster.command('add')))
    .description(
      'Makes another machine a node of the cluster, by ssh: brings it what it needs, checks it, and joins it. Takes it all away again where that fails.',
    )
    .usage('[options] <[user@]host> [-- ssh-option...]')
    .argument('<host>', 'the machine, as ssh has it; root there, or a user who may use `sudo -n`')
    .argument('[ssh-option...]', 'given to ssh')
    .option('--name <node>', "the node's name; without it the machine's host name")
    .option('--listen <address>', 'where the other nodes reach it, ADDRESS[:PORT]; found by itself')
    .option('--no-service', 'the agent is started there by itself, not by systemd')
    .action(
      perform<Add, [string, string[]]>(async (invocation, options, host, sshOptions) => {
        const token = async () =>
          (await ask(invocation.socket, (agent) => agent.call('cluster.token', { ttlMs: TOKEN_MS }))).token;
        // Before a machine is touched: that there is a cluster.
        await ask(invocation.socket, (agent) => agent.call('cluster.status', {}));
        const node = await inSteps((step, signal) =>
          addMachine(
            { host, sshOptions, ...options },
            { programs: findPrograms(), version, token, step, signal },
          ),
        );
        await invocation.answer(node, `${node.name} at ${node.address} has joined; see \`godwit nodes\``);
      }),
    );

export interface Uninstall {
  node: string;
  /** Where ssh finds it; its address in the cluster if absent. */
  host: string | undefined;
  sshOptions: string[];
  force: boolean;
}

export async function uninstall(socket: string, { node, host, ...how }: Uninstall) {
  const { nodes }: ClusterStatus = await ask(socket, (agent) => agent.call('cluster.status', {}));
  const listed = nodes.find(({ name }) => name === node);
  if (!listed)
    throw noSuchNode(
      node,
      nodes.map(({ name }) => name),
    );
  return inSteps((step) => uninstallNode({ node, host: host ?? listed.address, ...how }, step));
}
