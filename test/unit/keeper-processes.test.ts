import { afterEach, expect, it } from 'vitest';
import { Processes } from '../../agent/keeper/processes';
import { isAlive, killPid, startOf } from '../../agent/machine/proc/identity';

const never = new AbortController().signal;
const pids: number[] = [];
afterEach(() => {
  for (const pid of pids.splice(0)) killPid(pid);
});

async function started(processes: Processes, script: string): Promise<number> {
  const { pid } = await processes.start({
    key: 'one',
    argv: ['sh', '-c', script],
    env: { PATH: '/usr/bin:/bin' },
  });
  pids.push(pid);
  return pid;
}

it('a process that ends is told of with its last words', async () => {
  const processes = new Processes();
  await started(processes, 'echo first; echo second; echo why >&2; exit 3');
  expect(await processes.wait('one', never)).toEqual({ code: 3, signal: null, stderr: 'why\n' });
  expect(await processes.line('one', 1, never)).toEqual({ line: 'second' });
  expect(await processes.line('one', 2, never)).toEqual({ line: null });
});

it('what a process that was killed has left behind, stopped, goes too, and its end is known', async () => {
  const processes = new Processes();
  const pid = await started(processes, 'sleep 600 & kill -STOP $!; echo $!; wait');
  const left = Number((await processes.line('one', 0, never)).line);
  pids.push(left);
  const identity = { pid: left, started: (await startOf(left))! };
  process.kill(pid, 'SIGKILL');
  expect(await processes.wait('one', never)).toMatchObject({ code: null, signal: 'SIGKILL' });
  expect(await isAlive(identity)).toBe(false);
});
