/** The stub between real gdb and real gdbserver: the process is parked, frozen and untraced, and taken up again. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { childrenOf, threadsOf } from '../../agent/debug/attach/threads';
import { statusMask } from '../../agent/machine/proc/parse';
import {
  Debuggee,
  type Debugger,
  type Gdb,
  program,
  removePrograms,
  TOOLS,
  until,
} from '../fixtures/debuggee';

const SIGALRM_BIT = 1n << 13n;

let job: Debuggee;
let stubbed: Debugger;

async function debug(name: string, ...args: string[]): Promise<Gdb> {
  job = await Debuggee.launch([program(name), ...args]);
  stubbed = await job.debug();
  return stubbed.gdb();
}

afterEach(() => job?.close());
afterAll(removePrograms);

/** What a program prints and how it ends without a debugger. */
async function undisturbed(name: string, ...args: string[]): Promise<{ output: string; status: number }> {
  const alone = await Debuggee.launch([program(name), ...args]);
  try {
    alone.start();
    const status = await alone.status();
    return { output: alone.read(), status };
  } finally {
    await alone.close();
  }
}

describe('stopped', () => {
  test('at a line, between two nexts', async () => {
    const gdb = await debug('steps');
    await gdb.do('break round_of');
    job.start();
    expect(await gdb.do('continue')).toContain('round_of (n=1)');
    await gdb.do('next');
    const before = await gdb.do('info registers general float');
    await job.move();
    await gdb.do('maintenance flush register-cache');
    expect(await gdb.do('info registers general float')).toBe(before);
    expect(await gdb.do('next')).toContain('mine += 1');
    expect(await gdb.do('print weight')).toBe('$1 = 4');
    expect(await gdb.do('continue')).toContain('round_of (n=2)');
  });

  test('the client asks while the stub is on its way, and waits', async () => {
    const gdb = await debug('steps');
    await gdb.do('break weigh');
    job.start();
    await gdb.do('continue');
    let asked: ReturnType<Gdb['send']> | undefined;
    await job.move(async () => {
      gdb.send('maintenance flush dcache');
      asked = gdb.send('print total + n');
      await sleep(50);
    });
    expect(await asked!.answer()).toMatch(/= 1$/);
  });

  test('many times over, stepping between', async () => {
    const gdb = await debug('steps');
    await gdb.do('break slow');
    job.start();
    await gdb.do('continue');
    await gdb.do('delete');
    for (let n = 0; n < 20; n++) {
      const before = Number(/= (\d+)$/.exec(await gdb.do('print i'))?.[1] ?? 0);
      await job.move();
      await gdb.do('stepi', 'stepi');
      expect(Number(/= (\d+)$/.exec(await gdb.do('print i'))?.[1] ?? 0)).toBeGreaterThanOrEqual(
        n === 0 ? 0 : before,
      );
    }
  });

  test('thread-local variables and thread-local storage', async () => {
    const gdb = await debug('steps');
    await gdb.do('break weigh if n == 4');
    job.start();
    await gdb.do('continue');
    expect(await gdb.do('print mine')).toBe('$1 = 10');
    await job.move();
    await gdb.do('maintenance flush dcache');
    expect(await gdb.do('print mine')).toBe('$2 = 10');
  });

  test('files of the job are read across a move', async () => {
    const gdb = await debug('steps');
    const copy = `${job.folder}/copy`;
    await gdb.do(`remote get ${program('steps')} ${copy}`);
    expect(readFileSync(copy).equals(readFileSync(program('steps')))).toBe(true);
    await job.move();
    await gdb.do(`remote get ${program('steps')} ${copy}2`);
    expect(readFileSync(`${copy}2`).equals(readFileSync(copy))).toBe(true);
    expect(await gdb.do(`remote put ${copy} ${copy}3`)).toContain('Read-only');
  });
});

describe('running', () => {
  test('towards a conditional breakpoint', async () => {
    const gdb = await debug('steps', '200');
    await gdb.do('break round_of if n == 150');
    job.start();
    const running = gdb.send('continue');
    for (let n = 0; n < 5; n++) await job.move();
    const stop = await running.answer();
    expect(stop).toContain('round_of (n=150)');
    expect(job.read().trim().split('\n')).toHaveLength(149);
  });

  test('in a long next, an until and a finish', async () => {
    const gdb = await debug('steps', '20', '1000', '300000000');
    await gdb.do('break steps.c:35');
    job.start();
    expect(await gdb.do('continue')).toContain('slow');
    const next = gdb.send('next');
    await sleep(100);
    await job.move();
    await job.move();
    expect(await next.answer()).toContain('total += waited');
    await gdb.do('delete', 'break slow', 'continue', 'delete');
    const finish = gdb.send('finish');
    await sleep(100);
    await job.move();
    expect(await finish.answer()).toContain('Value returned is $1 = 150000000');
    await gdb.do('break slow', 'continue');
    const advance = gdb.send('until steps.c:16');
    await sleep(100);
    await job.move();
    expect(await advance.answer()).toContain('return sum');
  });

  test('in a single step of many', async () => {
    const gdb = await debug('steps', '20', '1000', '1000');
    await gdb.do('break slow');
    job.start();
    await gdb.do('continue');
    await gdb.do('set var n = 2000');
    const stepping = gdb.send('stepi 3000');
    await job.move();
    await stepping.answer();
    // The loop's body has a fixed number of instructions: the same count from the same place ends at the same place.
    const [pc, i] = [await gdb.do('print $pc'), await gdb.do('print i')];
    await gdb.do('continue');
    await gdb.do('set var n = 2000', 'stepi 3000');
    expect((await gdb.do('print $pc')).split('= ')[1]).toBe(pc.split('= ')[1]);
    expect((await gdb.do('print i')).split('= ')[1]).toBe(i.split('= ')[1]);
  });

  test('towards a watchpoint', async () => {
    const gdb = await debug('steps', '100', '2000');
    await gdb.do('watch watched');
    job.start();
    expect(await gdb.do('continue')).toContain('New value = 5');
    const running = gdb.send('continue');
    await job.move();
    expect(await running.answer()).toMatch(/Old value = 5\s+New value = 10/);
    await job.move();
    expect(await gdb.do('continue')).toMatch(/Old value = 10\s+New value = 15/);
  });

  test('interrupted by its client, before, while and after', async () => {
    const gdb = await debug('steps', '100000', '500');
    job.start();
    for (let n = 0; n < 5; n++) {
      const running = gdb.send('continue');
      await sleep(30);
      gdb.interrupt();
      expect(await running.answer()).toContain('SIGINT');
      const again = gdb.send('continue');
      await sleep(30);
      await job.move(async () => {
        gdb.interrupt();
        await sleep(20);
      });
      expect(await again.answer()).toContain('SIGINT');
    }
    expect(await gdb.do('print total > 0')).toMatch(/= 1$/);
  });

  test('to its end: what it prints and returns is what it does without a debugger', async () => {
    const alone = await undisturbed('steps', '100', '2000');
    const gdb = await debug('steps', '100', '2000');
    await gdb.do('break round_of if n % 10 == 0');
    job.start();
    let text = '';
    for (let n = 0; n < 20 && !text.includes('exited'); n++) {
      const running = gdb.send('continue');
      await Promise.race([until('an end', () => stubbed.ended), job.move()]).catch((error) => {
        if (!stubbed.ended) throw error;
      });
      text = await running.answer();
    }
    expect(text).toContain('exited with code 03');
    expect(await job.status()).toBe(alone.status);
    expect(job.read()).toBe(alone.output);
  });
});

describe('signals', () => {
  test('a SIGUSR1 stop is delivered once, with what came along', async () => {
    const gdb = await debug('signals');
    job.start();
    const running = gdb.send('continue');
    await sleep(50);
    process.kill(job.pidOf(), 'SIGUSR1');
    expect(await running.answer()).toContain('SIGUSR1');
    const info = await gdb.do('print $_siginfo.si_signo', 'print $_siginfo._sifields._kill.si_uid');
    await job.move();
    await gdb.do('maintenance flush register-cache');
    expect(await gdb.do('print $_siginfo._sifields._kill.si_uid')).toContain(info.split('= ')[1]);
    const end = gdb.send('continue');
    await job.move().catch((error) => {
      if (!stubbed.ended) throw error;
    });
    expect(await end.answer()).toContain('exited normally');
    expect(job.read()).toContain('count 1 ');
  });

  test('a signal that arrives while it is frozen', async () => {
    const gdb = await debug('signals');
    job.start();
    const running = gdb.send('continue');
    await job.move(() => {
      process.kill(job.pidOf(), 'SIGUSR1');
    });
    expect(await running.answer()).toContain('SIGUSR1');
    expect(await gdb.do('continue')).toContain('exited normally');
    expect(job.read()).toContain('count 1 ');
  });

  test('a SIGSEGV stop, its address in the handler', async () => {
    const gdb = await debug('signals', 'segv');
    await gdb.do('handle SIGUSR1 nostop noprint pass');
    job.start();
    const running = gdb.send('continue');
    await sleep(50);
    process.kill(job.pidOf(), 'SIGUSR1');
    expect(await running.answer()).toContain('SIGSEGV');
    await job.move();
    await gdb.do('maintenance flush register-cache');
    expect(await gdb.do('print $_siginfo._sifields._sigfault.si_addr')).toContain('0x123');
    expect(await gdb.do('continue')).toContain('exited with code 052');
    expect(job.read()).toContain('segv at 0x123');
  });
});

describe('fork events', () => {
  test('forks, vforks and execs of children while it moves', async () => {
    const rounds = 40;
    const gdb = await debug('family', `${rounds}`);
    await gdb.do(`break after if n == ${rounds}`);
    job.start();
    const running = gdb.send('continue');
    for (let n = 0; n < 15; n++) await job.move();
    expect(await running.answer()).toContain(`after (n=${rounds})`);
    expect(await gdb.do('continue')).toContain('exited normally');
    const lines = job.read().trim().split('\n');
    expect(lines.filter((line) => line.startsWith('child'))).toEqual(
      Array.from({ length: rounds }, (_, index) => `child ${index + 1}`),
    );
  });

  test('at a caught fork the move is refused by name, and works after it', async () => {
    const gdb = await debug('family', '4');
    await gdb.do('catch fork');
    job.start();
    expect(await gdb.do('continue')).toContain('forked process');
    await expect(stubbed.stub.stop(300)).rejects.toMatchObject({ code: 'debugger-at-fork' });
    await gdb.do('delete');
    await gdb.do('break after');
    expect(await gdb.do('continue')).toContain('after (n=1)');
    await job.move();
    expect(await gdb.do('continue')).toContain('after (n=2)');
  });

  test('a program that replaces itself', async () => {
    const gdb = await debug('family', '2', 'again');
    await gdb.do('catch exec');
    job.start();
    expect(await gdb.do('continue')).toContain('exec');
    await expect(stubbed.stub.stop(300)).rejects.toMatchObject({ code: 'debugger-at-fork' });
    await gdb.do('break main');
    expect(await gdb.do('continue')).toContain('main (argc=2');
    await job.move();
    expect(await gdb.do('continue')).toContain('exited normally');
    expect(job.read()).toBe('child 1\nchild 2\nend\n');
  });

  test('several processes in one debugger are refused by name', async () => {
    const gdb = await debug('family', '3');
    await gdb.do('set detach-on-fork off', 'break after');
    job.start();
    const text = gdb.send('continue');
    await until('the child', () => childrenOf(job.pidOf(2)).length > 0);
    await sleep(200);
    await expect(stubbed.stub.stop(500)).rejects.toMatchObject({ code: 'debugger-holds-several' });
    gdb.interrupt();
    expect(await text.answer()).toContain('SIGINT');
  });
});

describe('threads', () => {
  const lines = (count: number, rounds: number) =>
    Array.from(
      { length: count * rounds },
      (_, index) => `${index % count} ${Math.floor(index / count) + 1}`,
    ).sort();

  test.each([
    { count: 16, rounds: 60, moves: 8 },
    { count: 200, rounds: 15, moves: 3 },
  ])('$count of them, no line lost or doubled', async ({ count, rounds, moves }) => {
    const gdb = await debug('threads', `${count}`, `${rounds}`, '20000');
    job.start();
    const running = gdb.send('continue');
    for (let n = 0; n < moves; n++) {
      await job.move();
      await sleep(20);
    }
    expect(await running.answer()).toContain('exited normally');
    expect(job.read().trim().split('\n').sort()).toEqual(lines(count, rounds));
  });

  test('100 parks at random moments, gdb hitting breakpoints all the while', async () => {
    const [count, rounds] = [6, 400];
    const gdb = await debug('threads', `${count}`, `${rounds}`, '1000');
    await gdb.do('break beat if n % 20 == 0');
    job.start();
    let hits = 0;
    let text = '';
    const playing = (async () => {
      while (!text.includes('exited')) {
        text = await gdb.send('continue').answer();
        if (text.includes('beat (me=')) hits++;
        else expect(text).toContain('exited normally');
      }
    })();
    let moves = 0;
    for (; moves < 100 && !stubbed.ended; moves++) {
      await job.move().catch((error) => {
        if (!stubbed.ended) throw error;
      });
      await sleep(Math.random() * 25);
    }
    await playing;
    expect(moves).toBeGreaterThan(30);
    expect(hits).toBe((count * rounds) / 20);
    expect(job.read().trim().split('\n').sort()).toEqual(lines(count, rounds));
  });

  test.each(['move', 'detach'])('a timer’s signal and a SIGSTOP that wait at a %s', async (what) => {
    const gdb = await debug('ticking', '1000');
    await gdb.do('break beat');
    job.start();
    expect(await gdb.do('continue')).toContain('beat (n=0)');
    for (let time = 0; time < 3; time++) {
      const pid = job.pidOf(2);
      const waiting = () => statusMask(readFileSync(`/proc/${pid}/status`, 'utf8'), 'ShdPnd');
      // The timer's is there long before it.
      await until('a SIGALRM', () => waiting() & SIGALRM_BIT);
      process.kill(pid, 'SIGSTOP');
      if (what === 'detach') break;
      await job.move();
      expect(await gdb.do('continue')).toContain(`beat (n=${time + 1})`);
    }
    await gdb.do('delete');
    if (what === 'detach') await gdb.do('detach');
    else expect(await gdb.do('continue')).toContain('exited normally');
    expect(await job.status()).toBe(0);
    expect(job.read()).toBe('1000 rounds, open\n');
  });

  test('threads that stand one byte apart stay where they are', async () => {
    const gdb = await debug('neighbours');
    job.start();
    const running = gdb.send('continue');
    await until('the threads', () => threadsOf(job.pidOf()).length === 4);
    for (let n = 0; n < 60; n++) await job.move();
    gdb.interrupt();
    expect(await running.answer()).toContain('SIGINT');
    const [first, second, third] = [0, 1, 2].map((index) => gdb.do(`print rounds[${index}]`));
    for (const rounds of [await first, await second, await third])
      expect(Number(rounds!.split('= ')[1])).toBeGreaterThan(1000);
  });
});

describe('leaving', () => {
  test('a killed client: breakpoints out, the process runs on to its end', async () => {
    const alone = await undisturbed('steps', '100', '2000');
    const gdb = await debug('steps', '100', '2000');
    await gdb.do('break round_of if n == 1000');
    job.start();
    gdb.send('continue');
    await until('some output', () => job.read().includes('\n'));
    gdb.kill();
    await until('the stub to leave', () => stubbed.closed);
    stubbed.checkUntouched();
    expect(await job.status()).toBe(alone.status);
    expect(job.read()).toBe(alone.output);
  });

  test('a client and its program killed at the same time: the program is not held', async () => {
    for (const running of [true, false, true, false]) {
      const gdb = await debug('steps', '100000');
      await gdb.do('break round_of');
      job.start();
      await gdb.do('continue');
      if (running) {
        await gdb.do('delete');
        gdb.send('continue');
        await sleep(20);
      }
      process.kill(job.pidOf(), 'SIGKILL');
      gdb.kill();
      await until('the stub to leave', () => stubbed.closed);
      expect(await job.status()).toBe(137);
      await job.close();
    }
  });

  test('a client killed at a signal stop: the program gets its signal', async () => {
    const gdb = await debug('signals');
    job.start();
    const running = gdb.send('continue');
    await sleep(50);
    process.kill(job.pidOf(), 'SIGUSR1');
    expect(await running.answer()).toContain('SIGUSR1');
    await job.move();
    gdb.kill();
    expect(await job.status()).toBe(0);
    expect(job.read()).toContain('count 1 ');
  });

  test('a client that vanishes has its time of grace', async () => {
    job = await Debuggee.launch([program('steps'), '50', '2000']);
    stubbed = await job.debug(undefined, 200);
    const began = Date.now();
    job.start();
    await until('the stub to leave', () => stubbed.closed);
    expect(Date.now() - began).toBeGreaterThanOrEqual(150);
    expect(await job.status()).toBe(3);
  });

  test('detach after an interrupt, and detach at a signal after a move', async () => {
    const gdb = await debug('signals');
    job.start();
    const running = gdb.send('continue');
    await sleep(50);
    process.kill(job.pidOf(), 'SIGUSR1');
    await running.answer();
    await job.move();
    expect(await gdb.do('detach')).toContain('detached');
    expect(await job.status()).toBe(0);
    expect(job.read()).toContain('count 1 ');
    await job.close();

    const other = await debug('steps', '100', '2000');
    job.start();
    const going = other.send('continue');
    await sleep(50);
    other.interrupt();
    await going.answer();
    await other.do('detach');
    expect(await job.status()).toBe(3);
  });

  test('kill', async () => {
    const gdb = await debug('steps', '100000');
    job.start();
    await gdb.do('break weigh', 'continue');
    await job.move();
    await gdb.do('kill');
    expect(await job.status()).toBe(137);
  });
});

describe('trouble', () => {
  test('gdbserver killed: the client is told, the stub says so', async () => {
    const gdb = await debug('steps', '1000', '2000');
    job.start();
    const running = gdb.send('continue');
    await sleep(50);
    process.kill(threadsOf(job.pidOf())[0]!.tracer, 'SIGKILL');
    expect(await running.answer()).toMatch(/gdbserver ended|Remote connection closed/);
    expect(stubbed.lost).toMatchObject({ code: 'lost-debugger' });
    expect(await job.status()).toBe(3);
  });

  test('the process killed from outside', async () => {
    const gdb = await debug('steps', '100000');
    job.start();
    const running = gdb.send('continue');
    await sleep(50);
    process.kill(job.pidOf(), 'SIGKILL');
    expect(await running.answer()).toContain('SIGKILL');
  });

  test('a gdbserver that fails leaves the process as it was', async () => {
    const gdb = await debug('steps', '100', '2000');
    await gdb.do('break round_of if n == 50');
    job.start();
    const running = gdb.send('continue');
    await stubbed.stub.stop(5000);
    await job.freeze();
    const parked = await stubbed.stub.release();
    stubbed.tools = { ...TOOLS, gdbserver: 'false' };
    await expect(stubbed.unpark(parked)).rejects.toMatchObject({ code: 'debugger-attach-failed' });
    stubbed.checkUntouched();
    stubbed.tools = TOOLS;
    await stubbed.unpark(parked);
    await job.thaw();
    stubbed.stub.go();
    expect(await running.answer()).toContain('round_of (n=50)');
  });

  test('a program whose file can not be read when it is attached to', async () => {
    const gdb = await debug('steps', '100', '2000');
    await gdb.do('break round_of');
    job.start();
    await gdb.do('continue');
    const before = await gdb.do('info registers general');
    stubbed.tools = { ...TOOLS, preloads: [...TOOLS.preloads, program('blind', '-shared', '-fPIC')] };
    await job.move();
    await gdb.do('maintenance flush register-cache');
    expect(await gdb.do('info registers general')).toBe(before);
    expect(await gdb.do('next', 'print n')).toContain('= 1');
    await gdb.do('delete');
    expect(await gdb.do('continue')).toContain('exited with code 03');
  });

  test('a stop that is taken back', async () => {
    const gdb = await debug('steps', '100', '2000');
    await gdb.do('break round_of if n == 50');
    job.start();
    const running = gdb.send('continue');
    await sleep(20);
    await stubbed.stub.stop(5000);
    await stubbed.stub.unstop();
    expect(await running.answer()).toContain('round_of (n=50)');
    expect(job.read().trim().split('\n')).toHaveLength(49);
  });

  test('what cannot travel is refused in words', async () => {
    const gdb = await debug('steps');
    expect(await gdb.do('monitor exit')).toContain('not served here');
    expect(await gdb.do('maintenance packet QNonStop:1')).toContain('non-stop mode can not travel');
    expect(await gdb.do('trace weigh', 'tstart')).toContain('tracepoints can not travel');
    expect(await gdb.do('record btrace')).toMatch(/does not support/);
  });
});

test('a program of 32 bits is not attached to, and runs on', async () => {
  const narrow = program('narrow', '-m32', '-nostdlib', '-static', '-fno-pic');
  job = await Debuggee.launch(['/bin/sh', '-c', `touch $HOLD.waits; exec ${narrow}`]);
  await until('the program', () => readFileSync(`/proc/${job.pidOf()}/comm`, 'utf8') === 'narrow-m32-nost\n');
  await expect(job.debug()).rejects.toMatchObject({
    code: 'debugger-attach-failed',
    message: expect.stringContaining('32 bits'),
  });
  await job.thaw();
  expect(threadsOf(job.pidOf())).toMatchObject([{ tracer: 0 }]);
});

test('a program that the dynamic linker has not made ready yet', async () => {
  const library = program('unready', '-shared', '-fPIC', '-nostdlib');
  const unready = program('steps', '-Wl,--no-as-needed', '-lc', '-Wl,-z,now', library);
  job = await Debuggee.launch(['/bin/sh', '-c', `touch $HOLD.waits; exec ${unready} 5`]);
  await until('its start', () => readFileSync(`/proc/${job.pidOf()}/maps`, 'utf8').includes(library));
  stubbed = await job.debug();
  const gdb = await stubbed.gdb();
  expect(await gdb.do('backtrace 1')).toContain('resolve ()');
  expect(await gdb.do('info threads')).toMatch(/\* 1 +Thread [\d.]+ "steps/);
  await job.move();
  job.start();
  await gdb.do('set variable held = 0', 'break round_of');
  expect(await gdb.do('continue')).toContain('round_of (n=1)');
  expect(await gdb.do('print mine')).toBe('$1 = 7');
});

test('two processes of a job, each with its debugger', async () => {
  job = await Debuggee.launch([
    '/bin/sh',
    '-c',
    `${program('steps')} 150 2000 & ${program('threads')} 4 150 2000; wait`,
  ]);
  const [steps, threads] = await until('both', () => {
    const found = childrenOf(job.pidOf(2)).map((pid) => ({
      pid,
      name: readFileSync(`/proc/${pid}/comm`, 'utf8').trim(),
    }));
    const named = ['steps', 'threads'].map((name) => found.find((one) => one.name === name)?.pid);
    return named.every(Boolean) && (named as number[]);
  });
  const [first, second] = [await job.debug(steps), await job.debug(threads)];
  const [one, two] = [await first.gdb(), await second.gdb()];
  await one.do('break round_of if n == 100');
  await two.do('break beat if n == 100 && me == 2');
  job.start();
  const running = [one.send('continue'), two.send('continue')];
  for (let n = 0; n < 4; n++) await job.move();
  expect(await running[0]!.answer()).toContain('round_of (n=100)');
  expect(await running[1]!.answer()).toContain('beat (me=2, n=100)');
  await job.move();
  expect(await one.do('continue')).toContain('exited with code 03');
  expect(await two.do('continue')).toContain('exited normally');
});
