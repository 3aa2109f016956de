/** Jobs that have a terminal, in terminals of the editor's: typed into, resized, coloured, on whichever node they are. */
import * as vscode from 'vscode';
import { z } from 'zod';
import { asGodwitError } from '../agent/api/errors';
import { JobId } from '../agent/api/model';
import { printable } from '../agent/api/text';
import { findTerminal, JobTerminal } from '../agent/client/terminal';
import { JobOutput } from './job-output';
import { openTerminal } from './window';

/** Until the editor has laid the terminal out. */
const USUAL = { rows: 24, columns: 80 };
const BELL = '\x07';

const Said = z.object({ id: JobId, name: z.string() });

export class JobTerminals implements vscode.Disposable {
  readonly #open = new Map<string, vscode.Terminal>();
  readonly #parts: vscode.Disposable[];

  /** @param socket the agent's */
  constructor(private readonly socket: () => string) {
    this.#parts = [
      vscode.window.onDidCloseTerminal((closed) => {
        for (const [job, terminal] of this.#open) if (terminal === closed) this.#open.delete(job);
      }),
      // A session whose launch.json wants its job's output in a terminal.
      vscode.debug.onDidReceiveDebugSessionCustomEvent(({ session, event, body }) => {
        if (session.type !== 'godwit' || event !== 'godwit.job') return;
        const said = Said.safeParse(body);
        if (said.success && session.configuration.console === 'terminal') this.show(said.data);
      }),
    ];
  }

  show({ id, name }: { id: string; name: string }): void {
    const terminal = this.#open.get(id) ?? openTerminal(name, new JobPty(this.socket(), id));
    this.#open.set(id, terminal);
    terminal.show();
  }

  dispose(): void {
    for (const part of this.#parts) part.dispose();
    for (const terminal of this.#open.values()) terminal.dispose();
  }
}

class JobPty implements vscode.Pseudoterminal {
  readonly #write = new vscode.EventEmitter<string>();
  readonly onDidWrite = this.#write.event;
  readonly #terminal: JobTerminal;
  /** A character may come in pieces. */
  readonly #text = new TextDecoder();
  readonly #output = new JobOutput();

  constructor(
    private readonly socket: string,
    private readonly job: string,
  ) {
    const write = async (chunk: Buffer) =>
      this.#write.fire(this.#output.take(this.#text.decode(chunk, { stream: true })));
    this.#terminal = new JobTerminal({ socket, job, write, size: USUAL });
  }

  open(size: vscode.TerminalDimensions | undefined): void {
    if (size) this.setDimensions(size);
    void this.#show();
  }

  /** The terminal stays when the job has ended: its last words are for reading. */
  async #show(): Promise<void> {
    try {
      const { from, size } = await findTerminal(this.socket, this.job);
      const how = await this.#terminal.show(from, size);
      if (how === 'ended') this.#write.fire('\r\n[the job has ended]\r\n');
    } catch (error) {
      this.#write.fire(`\r\n${printable(asGodwitError(error).toLine())}\r\n`);
    }
  }

  setDimensions({ rows, columns }: vscode.TerminalDimensions): void {
    if (rows > 0 && columns > 0) this.#terminal.resize({ rows, columns });
  }

  handleInput(keys: string): void {
    if (!this.#terminal.type(Buffer.from(keys))) this.#write.fire(BELL);
  }

  close(): void {
    this.#terminal.leave();
  }
}
