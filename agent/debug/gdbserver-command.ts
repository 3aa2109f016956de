import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** The first gdbserver that asks the CPU where its registers are in the XSAVE area. */
const GOOD_SINCE = 14;

/**
 * How gdbserver is called: with what mends it preloaded, from the folder `built` (dist). See own-file.c; xstate.c is for
 * those that would clear the program's AVX-512 registers.
 */
export async function gdbserverCommand(built: string): Promise<string[]> {
  const mends = ['godwit-own-file.so', ...((await clearsAvx512()) ? ['godwit-xstate.so'] : [])];
  const paths = mends.map((name) => join(built, name));
  return ['env', `LD_PRELOAD=${paths.join(':')}`, 'gdbserver'];
}

async function clearsAvx512(): Promise<boolean> {
  const { stdout } = await promisify(execFile)('gdbserver', ['--version']).catch(() => ({ stdout: '' }));
  const version = Number(/\b(\d+)\.\d/.exec(stdout)?.[1] ?? 0);
  const flags = /^flags\s*:(.*)$/m.exec(await readFile('/proc/cpuinfo', 'utf8'))?.[1]?.split(' ') ?? [];
  return version < GOOD_SINCE && flags.includes('avx512f') && !flags.includes('mpx');
}
