import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { commandFailed } from './errors';

/** What the lab runs is done in milliseconds, on a busy machine in seconds; what takes longer hangs. */
const COMMAND_TIMEOUT_MS = 60_000;

/**
 * Runs a program to its end.
 * @throws GodwitError `command-failed` with its last line of complaint
 */
export async function run(program: string, ...args: string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, args, { timeout: COMMAND_TIMEOUT_MS });
    return stdout;
  } catch (error) {
    throw commandFailed([program, ...args].join(' '), error);
  }
}
