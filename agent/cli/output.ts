/** stdout and stderr. */
import { constants } from 'node:os';

/** As a shell shows the status of any program whose reader has gone. */
const BROKEN_PIPE_STATUS = 128 + constants.signals.SIGPIPE;

/** `godwit logs -f JOB | head`: whoever read stdout has enough. What can't be told on stderr is not told. */
export function endQuietlyOnBrokenPipe(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(BROKEN_PIPE_STATUS);
    complain(`stdout can't be written: ${error.message}`);
    process.exit(1);
  });
  process.stderr.on('error', () => {});
}

/** Resolves when stdout has taken it; where it can't be taken the command ends. */
export const write = (chunk: string | Uint8Array): Promise<void> =>
  new Promise((resolve) => {
    process.stdout.write(chunk, (error) => {
      if (!error) resolve();
    });
  });

/** One line on stderr. */
export const complain = (line: string): void => void process.stderr.write(`godwit: ${oneLine(line)}\n`);

/** Control characters in names and messages of others must not reach a terminal. */
export const printable = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to keep away
  text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) => {
    const named = { '\n': '\\n', '\t': '\\t', '\r': '\\r' }[character];
    return named ?? `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });

const oneLine = (text: string) => printable(text.trim().replace(/\s*\n\s*/g, ' '));
