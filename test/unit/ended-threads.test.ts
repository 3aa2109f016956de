import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { endedThreads } from '../../agent/daemon/preflight/processes';
import { type JobProcess, readProcess } from '../../agent/machine/proc/processes';

/** A child has ended and is not waited for, or has ended its first thread alone; it is told by its number. */
const CHILD = `
import ctypes, os, sys, threading, time
child = os.fork()
if child == 0:
    if sys.argv[1] == "goes-on":
        threading.Thread(target=time.sleep, args=(1e6,)).start()
        ctypes.CDLL(None).syscall(60, 0)
    os._exit(0)
print(child, flush=True)
sys.stdin.read()
if sys.argv[1] == "goes-on":
    os.kill(child, 9)`;

async function childOf(how: 'goes-on' | 'ended', look: (child: JobProcess) => void): Promise<void> {
  const parent = spawn('python3', ['-c', CHILD, how], { stdio: ['pipe', 'pipe', 'inherit'] });
  const over = once(parent, 'exit');
  try {
    const pid = Number(await once(parent.stdout, 'data'));
    while (!/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))) await sleep(5);
    look((await readProcess(pid))!);
  } finally {
    parent.stdin.end();
    await over;
  }
}

it('a process that has ended, and is not waited for, is none whose first thread alone has', () =>
  childOf('ended', (child) => expect(endedThreads([child], () => 'it')).toEqual([])));

it('a process that goes on without its first thread is told', () =>
  childOf('goes-on', (child) =>
    expect(endedThreads([child], () => 'it')).toMatchObject([{ code: 'thread-ended' }]),
  ));
