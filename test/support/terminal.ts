/** A command at a terminal, as a person sits at one. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { inProject } from './project';

/** What a slow machine may need to show what is about to come. */
const SOON_MS = 120_000;
const LOOK_MS = 20;

const running = new Set<Terminal>();

export class Terminal {
  /** All that it has shown. */
  seen = '';
  /** Where in `seen` the next is looked for. */
  #at = 0;
  readonly #child;
  readonly ended: Promise<number>;

  constructor(argv: readonly string[], env: Record<string, string>, size = { rows: 30, columns: 100 }) {
    const fixture = inProject('test', 'fixtures', 'terminal.py');
    this.#child = spawn('python3', [fixture, `${size.rows} ${size.columns}`, ...argv], {
      env: { ...process.env, TERM: 'xterm', ...env },
      stdio: ['pipe', 'pipe', 'inherit', 'pipe'],
    });
    this.#child.stdout!.setEncoding('latin1').on('data', (text: string) => {
      this.seen += text;
    });
    this.#child.stdin!.on('error', () => {});
    running.add(this);
    this.ended = once(this.#child, 'close').then(([status]) => {
      running.delete(this);
      return status as number;
    });
  }

  type(keys: string): void {
    this.#child.stdin!.write(keys);
  }

  resize(rows: number, columns: number): void {
    (this.#child.stdio[3] as Writable).write(`${rows} ${columns}\n`);
  }

  /** Waits for it to be shown, after what was waited for before; returns what came until then. */
  async shows(what: string | RegExp): Promise<string> {
    for (const end = Date.now() + SOON_MS; ; await sleep(LOOK_MS)) {
      const fresh = this.seen.slice(this.#at);
      const found = typeof what === 'string' ? fresh.indexOf(what) : fresh.search(what);
      if (found >= 0) {
        const size = typeof what === 'string' ? what.length : what.exec(fresh)![0].length;
        this.#at += found + size;
        return fresh.slice(0, found + size);
      }
      if (Date.now() > end)
        throw new Error(
          `it did not show ${what} within ${SOON_MS} ms, but ${JSON.stringify(fresh.slice(-2000))}`,
        );
    }
  }

  close(): void {
    this.#child.kill('SIGKILL');
  }

  static closeAll(): void {
    for (const terminal of running) terminal.close();
  }
}
