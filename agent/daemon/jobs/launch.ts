/** Starts a job's program on this node, by way of the keeper and the helper. */
import { mkdir } from 'node:fs/promises';
import { GodwitError } from '../../api/errors';
import type { LaunchOrder } from '../../api/peer-contract';
import { readSupervision } from '../../keeper/supervision';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { JobAccount } from '../../machine/cgroup/limits';
import { removeMountPoint } from '../../machine/homefs/mount-point';
import { type Copy, mountOf } from './copy';
import type { NodeParts } from './node-parts';

/**
 * Gives the copy its group, account, network and files, and starts the program in them; sets `copy.init`.
 * @throws GodwitError `cannot-launch`, or why what it needs could not be made; what was made is then still there
 */
export async function launch(order: LaunchOrder, copy: Copy, parts: NodeParts): Promise<void> {
  const { node, layout, keeper, helper, networks, mounted, allocations, niceOfJobs } = parts;
  const cgroup = JobCgroup.at(copy.cgroup);
  const mount = layout.root(order.job, order.epoch);
  try {
    await cgroup.create();
    const account = await JobAccount.of(cgroup.path);
    await account.create(node, order.limits, await allocations.share(order.allocation));
    await account.set(order.limits);
    await mkdir(mount, { recursive: true });
    await networks.make(copy);
    await networks.putUp(copy);
    const files = mountOf(copy);
    if (files) await mounted.mount(files);
    const groups = [cgroup.run, ...account.joined(order.limits)];
    const behind = ['--nice', `${niceOfJobs}`];
    const argv = [
      ...[helper, 'launch', ...behind],
      ...flags(order, copy, mount, groups, networks.namespaceOf(copy)),
    ];
    await keeper.call('process.start', { key: copy.supervisor, argv, env: wrapped(order.env) });
    copy.init = await launched(copy, order, keeper);
  } finally {
    // The job's root was built on it in the job's own namespace only.
    if (copy.files === null) await removeMountPoint(mount);
  }
}

async function launched(copy: Copy, order: LaunchOrder, keeper: NodeParts['keeper']): Promise<number> {
  const { line } = await keeper.call('process.line', { key: copy.supervisor, index: 0 });
  const said = line === null ? null : readSupervision(line);
  if (said && 'init' in said) return said.init;
  if (said && 'error' in said) throw cannotLaunch(order, said.error);
  const { stderr } = await keeper.call('process.wait', { key: copy.supervisor });
  throw new GodwitError({
    code: 'cannot-launch',
    message: `${order.program} can't be launched: ${stderr.trim()}`,
  });
}

/**
 * The job's environment on its way through the helper, which is root: under names that mean nothing to a C library.
 * The helper takes them off for the program (init.c).
 */
const wrapped = (env: Record<string, string>) =>
  Object.fromEntries(Object.entries(env).map(([name, value]) => [`JOB:${name}`, value]));

function flags(
  order: LaunchOrder,
  copy: Copy,
  mount: string,
  [run, ...joined]: string[],
  network: string | null,
): string[] {
  const options = {
    '--uid': `${order.user.uid}`,
    '--gid': `${order.user.gid}`,
    '--groups': order.user.groups.join(','),
    '--cgroup': run!,
    '--report': copy.report,
    '--hostname': order.hostname ?? order.home,
    '--mount': mount,
    '--files': copy.files === null ? '/' : mount,
    '--init': order.init,
    '--cwd': order.cwd,
    '--console': order.console,
    '--status': order.status,
  };
  return [
    ...Object.entries(options).flat(),
    ...copy.mounts.flatMap((at) => [copy.direct.includes(at) ? '--bind-own' : '--bind', at]),
    ...(network === null ? [] : ['--network', network]),
    ...(order.stopped ? ['--stopped'] : []),
    ...(order.allowIoUring ? ['--allow-io-uring'] : []),
    ...joined.flatMap((group) => ['--join', group]),
    ...(order.tty ? ['--tty', `${order.tty.rows}x${order.tty.columns}`] : []),
    ...inheritedFlags(order),
    '--',
    order.program,
    ...order.args,
  ];
}

function inheritedFlags({ umask, resources = {} }: LaunchOrder): string[] {
  const limits = Object.entries(resources).flatMap(([name, { soft, hard }]) => [
    '--rlimit',
    `${name}=${soft ?? 'unlimited'}:${hard ?? 'unlimited'}`,
  ]);
  return [...(umask === undefined ? [] : ['--umask', umask.toString(8)]), ...limits];
}

const FIXES: Record<string, string> = {
  exec: 'is it there, executable, and in PATH?',
  cwd: 'give another with --cwd',
};
/** EAGAIN of execve(2): its user has as many processes as its limit says. */
const TOO_MANY = /^Resource temporarily unavailable/;
const END_SOME = 'its user has as many processes as they may: end some, or have `perUser.processes` raised';

function cannotLaunch(order: LaunchOrder, error: { stage: string; message: string }): GodwitError {
  const what =
    error.stage === 'cwd'
      ? `${order.program} can't be launched in ${order.cwd}`
      : `${order.program} can't be launched`;
  const fix = TOO_MANY.test(error.message) ? END_SOME : FIXES[error.stage];
  return new GodwitError({ code: 'cannot-launch', message: `${what}: ${error.message}`, fix });
}
