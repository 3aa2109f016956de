import { text as readAll } from 'node:stream/consumers';
import { type Command, Option } from 'commander';
import { size } from '../../api/figures';
import { ask } from '../../client/agent';
import { buildLive } from '../../live/build';
import { DEFAULT_SUITE, type LiveOptions, liveRequest, tokenFor } from '../../live/request';
import { duration } from '../duration';
import { note } from '../output';
import { findLiveScripts, findPrograms } from '../runtime';
import { inSteps } from '../steps';
import { addAgentOption, addJsonOption, type Invocation, perform } from '../verb';

interface Build extends LiveOptions {
  token?: string | undefined;
  ttl?: number | undefined;
}

export function addLive(program: Command): void {
  const live = program
    .command('live')
    .summary('an image that boots as a node: build')
    .description('Makes what a machine without a disk boots as a node of a cluster.');
  addBuild(live);
}

const addBuild = (live: Command) =>
  addAgentOption(addJsonOption(live.command('build')))
    .description(
      'Makes an ISO of Debian’s packages that boots by BIOS and UEFI, and the same as a kernel and an initramfs for the network. What boots it gets an address by DHCP, joins with its token and takes jobs.',
    )
    .option(
      '--token <token>',
      'built in: what `cluster token` has printed, - reads it from standard input; without it godwit.token=TOKEN on the kernel’s command line',
    )
    .addOption(
      new Option('--ttl <time>', 'instead: has the agent make a token that is good so long, 30m, 1h, 7d')
        .argParser(duration)
        .conflicts('token'),
    )
    .option('--packages <names>', 'Debian packages that it has besides, separated by commas')
    .option('--suite <release>', `the release of Debian, ${DEFAULT_SUITE} without it`)
    .option('--append <words>', 'for the kernel’s command line, in the ISO')
    .option('--files <folder>', 'what is in it is put over the files of the system, as root’s')
    .option('--quick', 'packed in a tenth of the time, and a sixth larger')
    .option('-o, --output <file>', 'the ISO, godwit-live.iso without it; the others are beside it')
    .action(
      perform<Build>(async (invocation, { token, ttl, ...options }) => {
        const request = await liveRequest(options);
        const built = await tokenSource(invocation, { token, ttl });
        const image = await inSteps((step, signal) =>
          buildLive(request, {
            ...{ programs: findPrograms(), scripts: findLiveScripts() },
            ...{ token: built, step, signal },
          }),
        );
        const { iso, kernel, initramfs, bytes } = image;
        await invocation.answer(image, `${iso} (${size(bytes)})\n${kernel}\n${initramfs}`);
        if (built)
          note(
            'the ISO and the initramfs hold the token: keep them as you keep it, they are readable for you alone',
          );
      }),
    );

/** How the token that is built in is got, in time; null for none. @throws GodwitError `bad-token`, `no-agent`, … */
async function tokenSource(
  invocation: Invocation,
  { token, ttl }: Pick<Build, 'token' | 'ttl'>,
): Promise<(() => Promise<string>) | null> {
  if (token !== undefined) {
    const text = tokenFor(token === '-' ? await readAll(process.stdin) : token);
    return async () => text;
  }
  if (ttl === undefined) return null;
  const { socket } = invocation;
  // Before minutes of work: that there is a cluster to ask.
  await ask(socket, (agent) => agent.call('cluster.status', {}));
  return async () => (await ask(socket, (agent) => agent.call('cluster.token', { ttlMs: ttl }))).token;
}
