import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { DEFAULT_CONFIG, loadConfig } from '../../api/config';
import { restartService, startService, stopService, untilItAnswers } from '../../joining/service';
import { inForeground } from '../foreground';
import { findPrograms } from '../runtime';
import { type Invocation, perform } from '../verb';

interface Options {
  config: string;
  start?: true;
  stop?: true;
  restart?: true;
  service: boolean;
}

const exclusive = (flags: string, description: string, others: string[]) =>
  new Option(flags, description).conflicts(others);

export const addAgent = (program: Command) =>
  program
    .command('agent')
    .summary("this machine's agent, in the foreground or as a service")
    .description(
      "Runs this machine's agent in the foreground, until it gets SIGTERM or SIGINT; or has it run from now on, also when it has ended.",
    )
    .option('--config <file>', "the node's configuration", DEFAULT_CONFIG)
    .addOption(
      exclusive('--start', 'keep it up: as a service of systemd, or by itself where there is none', [
        'stop',
        'restart',
      ]),
    )
    .addOption(exclusive('--stop', 'end that, with its keeper; not while jobs run here', ['restart']))
    .option('--restart', 'start it anew; jobs and debuggers go on')
    .option('--no-service', 'with --start: by itself, even where systemd is')
    .action(
      perform<Options>(async (invocation, options) => {
        const { start, stop, restart, service } = options;
        // What starts it again is elsewhere.
        const config = resolve(options.config);
        invocation.refuseJson('it is a daemon');
        if (!service && !start) invocation.misused('--no-service goes with --start');
        // Mistakes in it are reported before anything runs.
        await loadConfig(config);
        const programs = findPrograms();
        if (start) return keepUp(invocation, { config, programs, systemd: service });
        if (stop) return tell(invocation, (await stopService({ config })).steps);
        if (restart) return tell(invocation, (await restartService({ config })).steps);
        return inForeground(programs.node, [programs.agent, config]);
      }),
    );

async function keepUp(invocation: Invocation, request: Parameters<typeof startService>[0]): Promise<void> {
  const { steps, atBoot } = await startService(request);
  await tell(invocation, steps);
  await untilItAnswers(request);
  if (atBoot) await invocation.answer(null, `there is no service: have this run at each boot: ${atBoot}`);
}

const tell = (invocation: Invocation, steps: string[]) => invocation.answer(null, steps.join('\n'));
