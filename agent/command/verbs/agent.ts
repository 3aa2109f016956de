import type { Command } from 'commander';
import { loadConfig } from '../../api/config';
import { inForeground } from '../foreground';
import { findPrograms } from '../runtime';
import { perform } from '../verb';

const DEFAULT_CONFIG = '/etc/godwit/agent.json';

export const addAgent = (program: Command) =>
  program
    .command('agent')
    .summary("this machine's agent, in the foreground")
    .description("Runs this machine's agent in the foreground, until it gets SIGTERM or SIGINT.")
    .option('--config <file>', "the node's configuration", DEFAULT_CONFIG)
    .action(
      perform<{ config: string }>(async (invocation, { config }) => {
        invocation.refuseJson('it is a daemon');
        // Mistakes in it are reported before anything runs.
        await loadConfig(config);
        const { node, agent } = findPrograms();
        return inForeground(node, [agent, config]);
      }),
    );
