/** The process that starts programs for an agent, as the real one: each program's end is told as Node.js tells it of its own. */
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import type { ExecutionError, ExecutionOptions } from '../../agent/machine/execution';
import { Spawner } from '../../agent/machine/spawner';
import { inProject } from '../support/project';

const spawner = new Spawner(inProject('dist', 'godwit-helper'));

async function failed(program: string, args: string[], options?: ExecutionOptions): Promise<ExecutionError> {
  const ended = await spawner.execute(program, args, options).catch((error: ExecutionError) => error);
  if (ended instanceof Error) return ended;
  throw new Error(`it should have failed, but printed ${ended.stdout}`);
}
/** Its own process, which this one started. */
const ownProcess = () =>
  Number(
    execFileSync('pgrep', ['--parent', `${process.pid}`, '--full', 'run-programs'], { encoding: 'utf8' }),
  );

describe('a program that an agent has started', () => {
  it('has its words, and what it prints is whole', async () => {
    const words = ['a b', '', '"', 'ä', '\n'];
    expect(await spawner.execute('printf', ['%s|', ...words])).toEqual({
      stdout: 'a b||"|ä|\n|',
      stderr: '',
    });
    const { stdout } = await spawner.execute('seq', ['1', '100000']);
    expect(stdout.split('\n').length).toBe(100_001);
  });

  it('has nothing to read, no other descriptor, default signals, and none blocked', async () => {
    const { stdout } = await spawner.execute('sh', [
      '-c',
      'cat; ls /proc/self/fd; grep Sig /proc/self/status',
    ]);
    // The fourth is the list's own.
    expect(stdout).toMatch(/^0\n1\n2\n3\nSig/);
    // But for those that a C library keeps to itself: signal(7).
    for (const mask of ['SigBlk', 'SigIgn'])
      expect(BigInt(`0x${RegExp(`${mask}:\t(.*)`).exec(stdout)![1]}`) & 0x7fffffffn).toBe(0n);
  });

  it('fails by its status, its signal, or by not being there', async () => {
    expect(await failed('sh', ['-c', 'echo so far; echo why >&2; exit 3'])).toMatchObject({
      ...{ code: 3, signal: null, killed: false, stdout: 'so far\n', stderr: 'why\n' },
      message: 'Command failed: sh -c echo so far; echo why >&2; exit 3\nwhy\n',
    });
    expect(await failed('sh', ['-c', 'kill -USR1 $$'])).toMatchObject({ code: null, signal: 'SIGUSR1' });
    expect(await failed('/no/such/program', [])).toMatchObject({ code: 'ENOENT', killed: false });
    expect(await failed('/etc/passwd', [])).toMatchObject({ code: 'EACCES' });
  });

  it('is ended when its time is over, whatever holds its output open, and when it prints too much', async () => {
    const late = { timeout: 50, killSignal: 'SIGKILL' } as const;
    expect(await failed('sleep', ['1000'], late)).toMatchObject({
      code: null,
      killed: true,
      signal: 'SIGKILL',
    });
    const { stdout } = await failed('sh', ['-c', 'sleep 1000 & echo $!; wait'], late);
    process.kill(Number(stdout), 'SIGKILL');
    expect(await failed('yes', [], { maxBuffer: 10_000 })).toMatchObject({
      code: 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER',
      killed: true,
    });
  });

  it('is not started with words that the kernel does not take', async () => {
    expect(await failed('echo', ['one\0two'])).toMatchObject({ code: 'EINVAL' });
    expect(await failed('echo', ['x'.repeat(3_000_000)])).toMatchObject({ code: 'E2BIG' });
    expect(await failed('echo', ['x'.repeat(200_000)])).toMatchObject({ code: 'E2BIG' });
  });

  it('is one of many at a time, each with its own end', async () => {
    const each = async (index: number) => {
      for (let round = 0; round < 40; round++) {
        if (index % 3 === 0) {
          const { stdout } = await spawner.execute('sh', ['-c', `echo ${index}; seq 1 ${100 * index}`]);
          expect(stdout.split('\n').length).toBe(100 * index + 2);
        } else if (index % 3 === 1) {
          expect(await failed('sh', ['-c', `exit ${index}`])).toMatchObject({ code: index });
        } else expect(await failed('/no/such/program', [])).toMatchObject({ code: 'ENOENT' });
      }
    };
    await Promise.all(Array.from({ length: 18 }, (_, index) => each(index)));
  });
});

it('where the process that starts them is ended, what it ran is given up, and the next is started by another', async () => {
  const running = failed('sleep', ['1000']);
  await spawner.execute('true', []);
  const first = ownProcess();
  const [sleeper] = execFileSync('pgrep', ['--parent', `${first}`], { encoding: 'utf8' }).split('\n');
  process.kill(first, 'SIGKILL');
  expect(await running).toMatchObject({ code: 'ESRCH', killed: false });
  process.kill(Number(sleeper), 'SIGKILL');
  expect((await spawner.execute('echo', ['again'])).stdout).toBe('again\n');
  expect(ownProcess()).not.toBe(first);
});
