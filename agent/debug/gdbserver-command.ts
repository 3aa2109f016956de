import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/** The first gdbserver that asks the CPU where its registers are in the XSAVE area. */
const GOOD_SINCE = 14;

/**
 * How gdbserver is called: as it is, or with `shim` (dist/godwit-xstate.so) where it would clear the program's AVX-512
 * registers, see xstate.c.
 */
export async function gdbserverCommand(shim: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)('gdbserver', ['--version']).catch(() => ({ stdout: '' }));
  const version = Number(/\b(\d+)\.\d/.exec(stdout)?.[1] ?? 0);
  const flags = /^flags\s*:(.*)$/m.exec(await readFile('/proc/cpuinfo', 'utf8'))?.[1]?.split(' ') ?? [];
  const clears = version < GOOD_SINCE && flags.includes('avx512f') && !flags.includes('mpx');
  return clears ? ['env', `LD_PRELOAD=${shim}`, 'gdbserver'] : ['gdbserver'];
}
