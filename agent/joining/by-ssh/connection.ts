/**
 * Another machine by the person's own ssh, with its configuration, agent and known hosts: one connection, which asks the
 * person what it has to, and over which all that follows goes without a question.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { connectionLost, noConnection, remoteFailed } from './errors';

/** What is asked for is short; what is longer is of no use. */
const MOST_OUTPUT = 1024 * 1024;
/** As an error's line is cut (api/errors.ts). */
const LONGEST_LINE = 2_000;
/** ssh's own failures (ssh(1), EXIT STATUS). */
const SSH_FAILED = 255;
/** A machine that has gone is noticed after a minute. */
const ALIVE = ['-o', 'ServerAliveInterval=15', '-o', 'ServerAliveCountMax=4'];

export interface Remote {
  /** What it does, for the person. */
  what: string;
  /** For sh(1), with these arguments; as root unless that is not wanted. */
  script: string;
  args?: string[];
  asRoot?: boolean;
  input?: Readable | string;
  /** Each line that it says on stderr. */
  onLine?: (line: string) => void;
  /** Cuts it off. Without it, it is let to its end. */
  signal?: AbortSignal;
}

export class Connection {
  #sudo = false;

  private constructor(
    readonly host: string,
    private readonly options: readonly string[],
    private readonly folder: string,
  ) {}

  /** @param options of ssh, as the person gave them @throws GodwitError `no-ssh` */
  static async open(host: string, options: readonly string[]): Promise<Connection> {
    const folder = await mkdtemp(join(tmpdir(), 'godwit-ssh-'));
    const connection = new Connection(host, options, folder);
    const master = ['-o', 'ControlMaster=yes', '-o', 'ControlPersist=no', ...ALIVE, '-N', '-f'];
    const ssh = spawn('ssh', connection.#argv([...master, '--', host]), {
      stdio: ['inherit', 'ignore', 'inherit'],
    });
    const status = await statusOf(ssh);
    if (status === 0) return connection;
    await rm(folder, { recursive: true });
    throw noConnection(host);
  }

  /** From now on what needs root is asked for by sudo(8). */
  useSudo(): void {
    this.#sudo = true;
  }

  /** Runs to its end. @returns its stdout @throws GodwitError `ssh-lost`, `remote-failed` with its last words */
  async run({ what, script, args = [], asRoot = true, input = '', onLine, signal }: Remote): Promise<string> {
    const words = ['sh', '-c', script, 'sh', ...args].map(quoted).join(' ');
    const command = asRoot && this.#sudo ? `sudo -n ${words}` : words;
    const ssh = spawn('ssh', this.#argv(['-T', '--', this.host, command]), {
      // Apart from the terminal's group: a Ctrl-C does not cut off what is better let to its end.
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const cut = () => ssh.kill();
    signal?.addEventListener('abort', cut);
    if (signal?.aborted) cut();
    let last = '';
    eachLine(ssh.stderr, (line) => {
      last = line;
      onLine?.(line);
    });
    const [output, status] = await Promise.all([textOf(ssh.stdout), statusOf(ssh), feed(ssh, input)]);
    signal?.removeEventListener('abort', cut);
    signal?.throwIfAborted();
    if (status === SSH_FAILED) throw connectionLost(this.host, what);
    if (status !== 0) throw remoteFailed(this.host, what, last);
    return output;
  }

  async close(): Promise<void> {
    const ssh = spawn('ssh', this.#argv(['-O', 'exit', '--', this.host]), { stdio: 'ignore' });
    await statusOf(ssh).catch(() => {});
    await rm(this.folder, { recursive: true, force: true });
  }

  #argv(rest: string[]): string[] {
    // What is said first holds: the path is ours, all else is as the person has it.
    return ['-o', `ControlPath=${join(this.folder, 'master')}`, ...this.options, ...rest];
  }
}

async function feed(ssh: ChildProcess, input: Readable | string): Promise<void> {
  // One that ends early says why itself.
  ssh.stdin!.on('error', () => {});
  if (typeof input === 'string') ssh.stdin!.end(input);
  else await pipeline(input, ssh.stdin!).catch(() => {});
}

/** Calls with each line that is not empty; of one that is longer than any of ours, with its beginning. */
function eachLine(stream: Readable, call: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!.slice(0, LONGEST_LINE);
    for (const line of lines) if (line.trim()) call(line.slice(0, LONGEST_LINE));
  });
  stream.on('end', () => {
    if (rest.trim()) call(rest);
  });
}

async function textOf(stream: Readable): Promise<string> {
  let text = '';
  for await (const chunk of stream.setEncoding('utf8')) if (text.length < MOST_OUTPUT) text += chunk;
  return text;
}

async function statusOf(child: ChildProcess): Promise<number> {
  const [status] = (await once(child, 'close')) as [number | null];
  return status ?? SSH_FAILED;
}

/** A word for a POSIX shell, which ssh hands its command to. */
const quoted = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;
