/** Programs of the machine's that are run to their end. */
import { GodwitError } from '../api/errors';
import { execute } from './execution';

/** What is run here is done in milliseconds, on a busy machine in seconds; what takes longer hangs. */
const COMMAND_TIMEOUT_MS = 60_000;

/**
 * Runs a program to its end.
 * @throws GodwitError `command-failed` with its last line of complaint
 */
export const run = (program: string, ...args: string[]): Promise<string> =>
  runWithin(COMMAND_TIMEOUT_MS, program, ...args);

/** As `run`, of what may take longer. */
export async function runWithin(timeoutMs: number, program: string, ...args: string[]): Promise<string> {
  try {
    const { stdout } = await execute(program, args, { timeout: timeoutMs });
    return stdout;
  } catch (error) {
    throw commandFailed([program, ...args].join(' '), error);
  }
}

/** The last line of a command that failed. */
function lastLine(error: unknown): string {
  const { stderr, message } = error as { stderr?: unknown; message?: string };
  const text = String(stderr ?? '').trim() || (message ?? String(error)).trim();
  return text.split('\n').at(-1)!;
}

export const commandFailed = (command: string, error: unknown) => {
  const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
  return new GodwitError(
    {
      code: 'command-failed',
      message: missing
        ? `the program ${command.split(' ')[0]} is not installed`
        : `${command} failed: ${lastLine(error)}`,
      fix: '`godwit doctor` says what is missing',
    },
    { cause: error },
  );
};
