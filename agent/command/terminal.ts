/** This terminal as that of a job: raw, its keys the job's, until the job ends or the detach key is typed. */
import { spawnSync } from 'node:child_process';
import { InvalidArgumentError, Option } from 'commander';
import type { WindowSize } from '../api/model';
import { askThroughRestarts } from '../client/agent';
import { JobTerminal } from '../client/terminal';
import { notATerminal } from './errors';
import { complain, write } from './output';

/** Ctrl-], as telnet and virsh have it. */
const DETACH = 0x1d;
/** Where it is not known: the size of the first terminals. */
const USUAL = { rows: 24, columns: 80 };
/** What a full-screen program may have left switched on: the other screen, mouse, bracketed paste, no cursor, colours. */
const AS_BEFORE = '\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?25h\x1b[0m';

export const detachKeyOption = () =>
  new Option('--detach-key <key>', 'the key that leaves the terminal, e.g. ^] or ^\\, or "none"').argParser(
    key,
  );

/** `^]`: the number of the control character; -1 for none. */
function key(text: string): number {
  if (text === 'none') return -1;
  const letter = /^\^([@A-Z[\\\]^_])$/i.exec(text)?.[1];
  if (!letter) throw new InvalidArgumentError('It must be like ^] or ^P.');
  return letter.toUpperCase().charCodeAt(0) & 0x1f;
}

export const windowSize = (): WindowSize => {
  const { rows, columns } = process.stdout;
  return rows && columns ? { rows, columns } : USUAL;
};

/** @throws GodwitError `not-a-terminal` */
export function checkTerminal(instead: string): void {
  if (!process.stdin.isTTY || !process.stdout.isTTY) throw notATerminal(instead);
}

/**
 * @param old where its console begins and ends for now, if it is not new
 * @returns the program's exit status, 0 when it was left running
 */
export async function atTerminal(
  socket: string,
  job: string,
  detachKey = DETACH,
  old?: { from: number; size: number },
): Promise<number> {
  const { stdin, stdout } = process;
  const terminal = new JobTerminal({ socket, job, write, size: windowSize() });
  const type = (bytes: Buffer) => {
    const end = detachKey < 0 ? -1 : bytes.indexOf(detachKey);
    if (!terminal.type(end < 0 ? bytes : bytes.subarray(0, end))) {
      stdin.pause();
      void terminal.drained().then(() => stdin.resume());
    }
    if (end >= 0) terminal.leave();
  };
  const resize = () => terminal.resize(windowSize());
  const leave = () => terminal.leave();
  stdin.setRawMode(true);
  // For Node.js a raw terminal still turns LF into CR LF, which tears full screens apart.
  spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
  stdin.on('data', type).on('end', leave);
  stdout.on('resize', resize);
  try {
    const how = await terminal.show(old?.from ?? 0, old?.size);
    if (how === 'left') {
      await write(AS_BEFORE);
      stdin.setRawMode(false);
      complain(`left job ${job} running; \`godwit attach ${job}\` comes back to it`);
      return 0;
    }
  } finally {
    stdin.setRawMode(false);
    stdin.off('data', type).off('end', leave).pause();
    stdout.off('resize', resize);
  }
  const wait = { timeoutMs: Number.POSITIVE_INFINITY };
  const { exit } = await askThroughRestarts(socket, (agent) => agent.call('jobs.wait', { job }, wait), {
    accepted: true,
  });
  return exit;
}
