/** What is started beside a job for its debugger, and with which rights: those of the job's user. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GodwitError } from '../../api/errors';
import { execute } from '../../machine/execution';
import { parseCpuFlags, statusField, statusNumbers } from '../../machine/proc/parse';
import { userOptions } from '../../machine/proc/user-options';

/** The first gdbserver that asks the CPU where its registers are in the XSAVE area. */
const GOOD_SINCE = 14;

export interface Tools {
  /** The program godwit-helper. */
  helper: string;
  /** What is preloaded into gdbserver: see confined.c, own-file.c, xstate.c. */
  preloads: string[];
  /** Its name; `gdbserver`. */
  gdbserver: string;
}

/** As whom; numbers alone count. */
export interface Owner {
  uid: number;
  gid: number;
  groups: number[];
}

/** From the folder `built` (dist). xstate.c is for those that would clear the program's AVX-512 registers. */
export async function debuggerTools(built: string): Promise<Tools> {
  const mends = ['godwit-confined.so', 'godwit-own-file.so'];
  if (await clearsAvx512()) mends.push('godwit-xstate.so');
  return {
    helper: join(built, 'godwit-helper'),
    preloads: mends.map((name) => join(built, name)),
    gdbserver: 'gdbserver',
  };
}

async function clearsAvx512(): Promise<boolean> {
  const { stdout } = await execute('gdbserver', ['--version']).catch(() => ({ stdout: '' }));
  const version = Number(/\b(\d+)\.\d/.exec(stdout)?.[1] ?? 0);
  const flags = parseCpuFlags(await readFile('/proc/cpuinfo', 'utf8'));
  return version < GOOD_SINCE && flags.includes('avx512f') && !flags.includes('mpx');
}

/** `init`: the job's PID 1 as this node numbers it; `pid`: the process as the job numbers it. */
export function gdbserverArgv(tools: Tools, owner: Owner, init: number, pid: number): string[] {
  const preloads = tools.preloads.flatMap((library) => ['--preload', library]);
  const ptrace = owner.uid !== 0 && yamaAsks() ? ['--ptrace'] : [];
  return [
    ...[tools.helper, 'serve-debugger', '--init', `${init}`, ...whose(owner), ...ptrace, ...preloads],
    ...['--', tools.gdbserver, '--once', '--attach', '-', `${pid}`],
  ];
}

export const readerArgv = (helper: string, owner: Owner, init: number): string[] => [
  ...[helper, 'read-files', '--init', `${init}`],
  ...whose(owner),
];

/** A job of root's stays root's. */
export const whose = (owner: Owner): string[] => (owner.uid === 0 ? ['--uid', '0'] : userOptions(owner));

/** Does a process need a capability to trace another of its own user (Yama.rst, ptrace_scope)? */
export function yamaAsks(): boolean {
  try {
    return readFileSync('/proc/sys/kernel/yama/ptrace_scope', 'utf8').trim() !== '0';
  } catch {
    return false;
  }
}

const unconfined = (what: string) =>
  new GodwitError({
    code: 'debugger-unconfined',
    message: `gdbserver has more rights than its job's user: ${what}`,
    fix: 'is it a program of its own kind, dynamically linked? Install the one of your distribution',
  });

/**
 * gdbserver, as it is before it is sent the first packet of its client: the user's, without a capability, under a filter of
 * system calls. @throws debugger-unconfined
 */
export function checkConfined(pid: number, owner: Owner): void {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string) => statusField(status, name) ?? '';
  const expect = (name: string, wanted: string) => {
    if (field(name) !== wanted) throw unconfined(`${name} is ${field(name)}`);
  };
  expect('NoNewPrivs', '1');
  expect('Seccomp', '2');
  if (owner.uid === 0) return;
  expect('Uid', Array(4).fill(owner.uid).join('\t'));
  expect('Gid', Array(4).fill(owner.gid).join('\t'));
  const groups = statusNumbers(status, 'Groups');
  if (!groups.every((group) => owner.groups.includes(group))) throw unconfined(`its groups are ${groups}`);
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) expect(set, '0'.repeat(16));
}
