/** Programs that take minutes, run to their end or cut off with all that they have started. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stepFailed } from './errors';

/** A slow mirror, a slow machine, many packages; what takes longer hangs. */
const LIMIT_MS = 2 * 3_600_000;
/** Of what it prints: the reason of a failure is at the end. */
const KEPT_CHARACTERS = 64 * 1024;

export interface Running {
  /** What it does, for the person. */
  what: string;
  cwd?: string | undefined;
  env?: Record<string, string> | undefined;
  /** What to do where it fails. */
  fix?: string | undefined;
  signal: AbortSignal;
}

/**
 * With process ids and mounts of its own: whatever it started and mounted is gone when it has ended, however that comes.
 */
export const apart = (argv: string[]): string[] => [
  ...['unshare', '--mount', '--propagation', 'private', '--pid', '--fork', '--mount-proc', '--kill-child'],
  ...argv,
];

/** What it prints on stdout, the last of it. @throws GodwitError `live-failed` with its last words; what the signal was aborted with */
export async function runLong(argv: string[], { what, cwd, env, fix, signal }: Running): Promise<string> {
  signal.throwIfAborted();
  // It ends with this process, also where that is killed.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...argv], {
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...process.env, LC_ALL: 'C', ...env },
    // A group of its own: a Ctrl-C at the terminal is this process's affair, which then ends it.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => {
      said[name] = (said[name] + text).slice(-KEPT_CHARACTERS);
    });
  const cut = () => child.pid !== undefined && killGroup(child.pid);
  signal.addEventListener('abort', cut);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    cut();
  }, LIMIT_MS);
  try {
    const [status] = (await once(child, 'close')) as [number | null];
    signal.throwIfAborted();
    if (late) throw stepFailed(what, `it had not ended after ${LIMIT_MS / 3_600_000} hours`, fix);
    if (status !== 0) throw stepFailed(what, lastWords(said.stderr || said.stdout), fix);
    return said.stdout;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', cut);
  }
}

/** Takes away what fits a pattern of bash's, below a folder; what is not there is no error. */
export const removeIn = (folder: string, patterns: readonly string[], signal: AbortSignal) =>
  runLong(['bash', '-c', `shopt -s nullglob; cd "$1" && rm -rf -- ${patterns.join(' ')}`, 'bash', folder], {
    what: 'leaving out what is of no use',
    signal,
  });

/** The lines that name an error, else the last one. */
export function lastWords(text: string): string {
  const lines = text.trim().split('\n').filter(Boolean);
  const errors = lines.filter((line) => /^E[: ]|\berror\b|FATAL/i.test(line));
  return (errors.length > 0 ? errors.slice(0, 3) : lines.slice(-1)).join('; ') || 'without a word';
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
