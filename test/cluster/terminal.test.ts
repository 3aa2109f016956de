/** Jobs at a terminal: what people do at one goes on wherever the job is, and what they type arrives once. */
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { restartAgent } from '../../agent/lab/lab';
import { inPath } from '../../agent/machine/criu/criu';
import { Godwit } from '../support/godwit';
import { Terminal } from '../support/terminal';

/** A name that no person's lab has. */
const LAB = `tty-${process.pid}`;
const ROUND = ['node2', 'node3', 'node1'] as const;
const CTRL_C = '\x03';
const CTRL_D = '\x04';
const CTRL_Z = '\x1a';
const DETACH = '\x1d';
const PROMPT = 'ready> ';
const BASH = ['--env', `PS1=${PROMPT}`, '--', 'bash', '--norc', '--noprofile', '--noediting'];

let godwit: Godwit;
let folder = '';
let jobs = 0;
const named: string[] = [];

beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'godwit-tty-')));
  godwit = await Godwit.labUp(LAB, { temp: folder });
});
afterEach(async () => {
  Terminal.closeAll();
  for (const job of named.splice(0)) await godwit.kill(job, 'SIGKILL').catch(() => {});
});
afterAll(async () => {
  await Godwit.labDown(LAB);
  rmSync(folder, { recursive: true, force: true });
});

/** A shell at a terminal, ready for commands, and the job's name. */
async function shell(): Promise<{ terminal: Terminal; job: string }> {
  const job = `shell-${jobs++}`;
  named.push(job);
  const terminal = godwit.at(['run', '--tty', '--name', job, ...BASH]);
  await terminal.shows(PROMPT);
  return { terminal, job };
}

/** Types a command, and returns what it printed. */
async function command(terminal: Terminal, line: string): Promise<string> {
  terminal.type(`${line}\r`);
  await terminal.shows(`${line}\r\n`);
  return (await terminal.shows(PROMPT)).slice(0, -PROMPT.length).replaceAll('\r\n', '\n');
}

/** Starts, or takes up, something that lasts. */
async function foreground(terminal: Terminal, line: 'sleep 1000' | 'fg'): Promise<void> {
  terminal.type(`${line}\r`);
  await terminal.shows(line === 'fg' ? 'fg\r\nsleep 1000\r\n' : 'sleep 1000\r\n');
}

async function suspend(terminal: Terminal): Promise<void> {
  terminal.type(CTRL_Z);
  await suspended(terminal);
}

async function suspended(terminal: Terminal): Promise<void> {
  await terminal.shows(/Stopped +sleep 1000/);
  await terminal.shows(PROMPT);
}

describe('a shell with job control', () => {
  it('goes on, on every node: sizes, Ctrl-C, Ctrl-Z, jobs in the background', async () => {
    const { terminal, job } = await shell();
    expect(await command(terminal, 'stty size; tty; echo $$')).toBe('30 100\n/dev/pts/0\n2\n');
    for (const [turn, node] of ROUND.entries()) {
      await foreground(terminal, 'sleep 1000');
      await godwit.migrate(job, node);
      await suspend(terminal);
      await godwit.migrate(job, ROUND[(turn + 1) % 3]!);
      expect(await command(terminal, 'jobs')).toMatch(/^\[1\]\+ +Stopped +sleep 1000\n$/);
      await foreground(terminal, 'fg');
      await godwit.migrate(job, node);
      terminal.type(CTRL_C);
      await terminal.shows(PROMPT);
      expect(await command(terminal, 'echo $?')).toBe('130\n');
      terminal.resize(40 + turn, 120);
      await terminal.shows('');
      expect(
        await command(terminal, `until [ "$(stty size)" = "${40 + turn} 120" ]; do :; done; echo so`),
      ).toBe('so\n');
    }
    terminal.type('exit 7\r');
    expect(await terminal.ended).toBe(7);
    expect(await godwit.wait(job)).toMatchObject({ exit: 7 });
  });

  it('goes on so while a debugger follows the shell', async () => {
    const { terminal, job } = await shell();
    const gdb = await godwit.gdb(job);
    const running = gdb.start('continue');
    for (const [turn, node] of ROUND.entries()) {
      // The next move begins before the debugger has come after the last one: the shell's forks wait for it.
      await foreground(terminal, 'sleep 1000');
      await godwit.migrate(job, node);
      await suspend(terminal);
      await godwit.migrate(job, ROUND[(turn + 1) % 3]!);
      await foreground(terminal, 'fg');
      await godwit.migrate(job, node);
      terminal.type(CTRL_C);
      await terminal.shows(PROMPT);
      expect(await command(terminal, 'echo $?')).toBe('130\n');
    }
    expect(running.answered).toBe(false);
    // One for the shell itself: its debugger has it first.
    terminal.type(CTRL_C);
    expect(await running.result()).toContain('Program received signal SIGINT');
    await godwit.migrate(job, 'node2');
    const ends = gdb.start('signal SIGINT');
    await terminal.shows(PROMPT);
    terminal.type('exit 7\r');
    expect(await terminal.ended).toBe(7);
    expect(await ends.result()).toContain('exited with code 07');
    await gdb.quit();
  });

  it('stops, goes on and ends a process that a debugger follows', async () => {
    const { terminal, job } = await shell();
    await foreground(terminal, 'sleep 1000');
    const gdb = await godwit.gdb(job, { pid: 3 });
    // It comes when the debugger holds the process anyway, or not at all.
    await gdb.do('handle SIGCONT nostop noprint');
    const first = gdb.start('continue');
    await godwit.migrate(job, 'node2');
    terminal.type(CTRL_Z);
    expect(await first.result()).toContain('Program received signal SIGTSTP');
    await godwit.migrate(job, 'node3');
    // Given to the process it stops it, of which a debugger hears too (ptrace(2), "Group-stop").
    const second = gdb.start('continue');
    await suspended(terminal);
    expect(await second.result()).toContain('Program received signal SIGTSTP');
    await godwit.migrate(job, 'node1');
    await foreground(terminal, 'fg');
    const third = gdb.start('signal 0');
    await godwit.migrate(job, 'node2');
    terminal.type(CTRL_C);
    expect(await third.result()).toContain('Program received signal SIGINT');
    await godwit.migrate(job, 'node3');
    const last = gdb.start('signal SIGINT');
    await terminal.shows(PROMPT);
    expect(await last.result()).toContain('terminated with signal SIGINT');
    await gdb.quit();
  });

  it('gets what was typed ahead, lines and half a line, once and without an echo of its own', async () => {
    const { terminal, job } = await shell();
    terminal.type('cat\r');
    await terminal.shows('cat\r\n');
    terminal.type('half a ');
    await terminal.shows('half a ');
    await godwit.migrate(job, 'node2');
    await godwit.migrate(job, 'node3');
    terminal.type('line\r');
    await terminal.shows('line\r\nhalf a line\r\n');
    terminal.type(CTRL_D);
    await terminal.shows(PROMPT);

    const go = join(folder, 'go');
    terminal.type(`until [ -e ${go} ]; do sleep 0.1; done\r`);
    await terminal.shows('done\r\n');
    terminal.type('echo one $((1 + 1))\rexit $((4 +');
    await terminal.shows('echo one $((1 + 1))\r\nexit $((4 +');
    for (const node of ROUND)
      await godwit.migrate(job, node).catch((error) => expect(`${error}`).toMatch(/already/));
    terminal.type(` 5)); : > ${go}`);
    await terminal.shows(go);
    const second = godwit.at(['attach', job]);
    await godwit.text(['run', '--', 'touch', go]);
    await terminal.shows('one 2\r\n');
    second.type('\r');
    expect(await terminal.ended).toBe(9);
    expect(await second.ended).toBe(9);
    expect(terminal.seen.match(/one 2/g)).toHaveLength(1);
    expect(terminal.seen.match(/echo one/g)?.length).toBeLessThanOrEqual(2);
  });
});

it('a terminal whose foreground process group has ended keeps that group, until another takes it', async () => {
  const name = 'ended-group';
  named.push(name);
  // As a shell does it, which has waited for its command and has not yet taken the terminal back.
  const program = [
    'import os, signal, sys',
    'signal.signal(signal.SIGTTOU, signal.SIG_IGN)',
    'child = os.fork()',
    'if child == 0: signal.pause()',
    'os.setpgid(child, child)',
    'os.tcsetpgrp(0, child)',
    'os.kill(child, signal.SIGKILL)',
    'os.waitpid(child, 0)',
    'print("begins", flush=True)',
    'while not os.path.exists(sys.argv[1]): signal.sigtimedwait([], 0.05)',
    'print("same" if os.tcgetpgrp(0) == child else "other", flush=True)',
    'os.tcsetpgrp(0, os.getpgrp())',
    'print("got", input(), flush=True)',
  ].join('\n');
  const looks = join(folder, 'looks');
  const terminal = godwit.at(['run', '--tty', '--name', name, '--', 'python3', '-c', program, looks]);
  await terminal.shows('begins\r\n');
  for (const node of ROUND) await godwit.migrate(name, node);
  await godwit.migrate(name, 'node2');
  writeFileSync(looks, '');
  await terminal.shows('same\r\n');
  terminal.type('a line\r');
  await terminal.shows('got a line\r\n');
  expect(await terminal.ended).toBe(0);
});

it('what is typed while it moves, while agents restart, arrives once and in order', async () => {
  const name = 'counted';
  named.push(name);
  // Raw and without echo: it prints what it reads, nothing else prints.
  const read = 'stty raw -echo; printf begin; exec cat';
  const terminal = godwit.at([
    'run',
    '--tty',
    '--detach-key',
    'none',
    '--name',
    name,
    '--',
    'sh',
    '-c',
    read,
  ]);
  await terminal.shows('begin');
  let text = '';
  let typing = true;
  const typed = (async () => {
    for (let count = 0; typing; count++) {
      const word = `${count},`;
      terminal.type(word);
      text += word;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  for (const node of [...ROUND, ...ROUND]) {
    await godwit.migrate(name, node);
    await restartAgent(LAB, node);
    const states = async () => (await godwit.nodes()).map(({ state }) => state);
    await expect.poll(states, { timeout: 60_000 }).toEqual(['up', 'up', 'up']);
  }
  typing = false;
  await typed;
  await terminal.shows(text.slice(-12));
  expect(terminal.seen.slice(terminal.seen.indexOf('begin') + 5)).toBe(text);
  expect(await godwit.logs(name)).toBe(`begin${text}`);
});

it('full-screen programs draw on, and anew for each person who attaches; two may be at one terminal', async () => {
  const name = 'screen';
  named.push(name);
  const first = godwit.at(['run', '--tty', '--name', name, '--', 'top', '-d', '0.3']);
  // Once it is drawn, it draws what has changed.
  await first.shows('PID USER');
  await godwit.migrate(name, 'node2');
  await first.shows('%Cpu');
  const second = godwit.at(['attach', name], { rows: 50, columns: 120 });
  await second.shows('PID USER');
  await godwit.migrate(name, 'node3');
  await second.shows('%Cpu');
  await first.shows('%Cpu');
  first.type(DETACH);
  expect(await first.ended).toBe(0);
  expect(first.seen).toMatch(/left job \w+ running/);
  expect((await godwit.job((await godwit.jobs()).find((job) => job.name === name)!.id)).tty).toBe(true);
  await godwit.migrate(name, 'node1');
  second.type('q');
  expect(await second.ended).toBe(0);
  expect(await godwit.wait(name)).toMatchObject({ exit: 0 });
});

const editor = (await inPath('vim')) ?? (await inPath('vi'));

it.skipIf(editor === null)('an editor keeps what is typed on any node, and writes it at home', async () => {
  const [name, file] = ['edited', join(folder, 'text')];
  named.push(name);
  writeFileSync(file, 'first\n');
  const terminal = godwit.at(['run', '--tty', '--name', name, '--', editor!, '-N', '-u', 'NONE', '-n', file]);
  await terminal.shows('first');
  for (const [turn, node] of ROUND.entries()) {
    terminal.type(`Goon ${node}\x1b`);
    await terminal.shows(`on ${node}`);
    terminal.resize(31 + turn, 90);
    await godwit.migrate(name, node);
  }
  // Undone, and done again: what it has in memory has come along.
  terminal.type('uuu:1print\r');
  await terminal.shows('first');
  terminal.type('\x12\x12:wq\r');
  expect(await terminal.ended).toBe(0);
  expect(readFileSync(file, 'utf8')).toBe('first\non node2\non node3\n');
});

it('says what can’t be: typing without a terminal, being at one without having one', async () => {
  const { id } = await godwit.run(['sh', '-c', 'echo printed; read line || echo nothing to read; sleep 1']);
  const attached = godwit.at(['attach', id]);
  await attached.shows('has no terminal');
  await attached.shows('nothing to read');
  expect(await attached.ended).toBe(0);
  await expect(godwit.text(['run', '--tty', '--', 'true'])).rejects.toThrow(/not a terminal; add --detach/);
  const { id: job } = JSON.parse(await godwit.text(['run', '--tty', '--detach', '--json', '--', 'cat']));
  named.push(job);
  await expect(godwit.text(['attach', job])).rejects.toThrow(/not a terminal; use `godwit logs -f/);
});
