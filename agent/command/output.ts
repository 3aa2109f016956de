/** stdout and stderr. */
import { exitStatusOf } from '../api/signals';
import { printable } from '../api/text';

/** As a shell shows the status of any program whose reader has gone. */
const BROKEN_PIPE_STATUS = exitStatusOf('SIGPIPE');

/** `godwit logs -f JOB | head`: the reader of stdout has ended, and so does this. What can't be written to stderr is lost. */
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

const oneLine = (text: string) => printable(text.trim().replace(/\s*\n\s*/g, ' '));

/** One line on stderr that is no complaint: what has been done. */
export const note = (line: string): void => void process.stderr.write(`${oneLine(line)}\n`);
