/** A folder on this machine with the processes that work in it: both go when their owner is done, or dies. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inProject } from '../../support/project';

/** What of this process's environment the processes in a test folder get: nothing of npm's, of test runners, of VS Code's. */
const PASSED_ON = ['PATH', 'LANG', 'LC_ALL', 'USER', 'LOGNAME', 'SHELL', 'TERM', 'TZ'];

export class TestFolder {
  readonly folder: string;
  readonly #guard: ChildProcess;
  readonly #gone: Promise<unknown>;

  /**
   * @param name begins the folder's name
   * @param atEnd a command that takes down what is not among the folder's processes, such as a lab
   */
  constructor(name: string, atEnd: readonly string[] = []) {
    this.folder = mkdtempSync(join(tmpdir(), `${name}-`));
    // In a session of its own, so that a Ctrl-C in the terminal is not for it.
    this.#guard = spawn('sh', [inProject('test', 'vscode', 'harness', 'guard.sh'), this.folder, ...atEnd], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    this.#gone = once(this.#guard, 'exit');
    this.#guard.unref();
    // unref of the pipe too: no process is kept alive by a guard. (It is a socket; the type does not say so.)
    (this.#guard.stdin as unknown as { unref(): void }).unref();
  }

  /** Makes a folder in it. */
  make(...parts: string[]): string {
    const path = join(this.folder, ...parts);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** The environment of the processes in it; TMPDIR is how the guard knows them. */
  environment(more: Record<string, string> = {}): Record<string, string> {
    const passed = PASSED_ON.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : []));
    return {
      ...Object.fromEntries(passed),
      HOME: this.make('home'),
      TMPDIR: this.folder,
      XDG_RUNTIME_DIR: this.folder,
      ...more,
    };
  }

  /** Ends the processes and removes the folder. */
  async close(): Promise<void> {
    this.#guard.ref();
    this.#guard.stdin?.end();
    await this.#gone;
  }
}
