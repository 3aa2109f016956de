/**
 * What an editor and the adapter said to each other, a line for each thing said: without what differs from run to run
 * (addresses, references, paths, times), but with what is the same under the same name.
 */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { DapRefusal, type DebugClient } from './dap';

/** What each of these holds is a number for its own time. */
const REFERENCES: ReadonlySet<string> = new Set(['variablesReference', 'frameId']);
const MEASURED: ReadonlySet<string> = new Set(['freezeMs', 'totalMs', 'bytes', 'phases']);
/** Those of libraries are the machine's. */
const NOT_TOLD: ReadonlySet<string> = new Set(['output', 'stopped', 'module']);
/** Below are numbers of the program's; above, places in its memory. */
const ADDRESS = /0x[0-9a-f]{6,16}/g;

export class Transcript {
  readonly #lines: unknown[] = [];
  readonly #names = new Map<string, string>();

  /** @param known texts that differ from run to run, and what is written for them; the longest first */
  constructor(
    private readonly client: DebugClient,
    private readonly known: readonly (readonly [string, string])[],
  ) {}

  note(what: string, body: unknown): void {
    this.#lines.push({ [what]: body });
  }

  /** In the order of its names, which means nothing. */
  noteSorted(what: string, body: object): void {
    this.note(
      what,
      Object.fromEntries(Object.entries(body).sort(([one], [other]) => (one < other ? -1 : 1))),
    );
  }

  /** Asks, and waits for the answer; a refusal is one. */
  async ask<B>(command: string, args: object = {}): Promise<B> {
    try {
      const body = await this.client.request<B>(command, args, 60_000);
      this.#lines.push({ ask: command, args, answer: body ?? null });
      return body;
    } catch (error) {
      if (!(error instanceof DapRefusal)) throw error;
      this.#lines.push({ ask: command, args, refused: error.body?.format });
      return undefined as B;
    }
  }

  async stop(): Promise<void> {
    this.note('stopped', await this.client.stopped());
  }

  /** Events come when they come: those of a kind are told together, in their order. */
  events(without: readonly string[] = []): void {
    const kinds = new Map<string, unknown[]>();
    for (const { event, body } of this.client.events) {
      if (NOT_TOLD.has(event) || without.includes(event)) continue;
      kinds.set(event, [...(kinds.get(event) ?? []), body ?? null]);
    }
    for (const kind of [...kinds.keys()].sort()) this.note(`event ${kind}`, kinds.get(kind));
    for (const category of ['stdout', 'console', 'important', 'stderr'])
      this.note(`said ${category}`, this.#said(category));
  }

  #said(category: DebugProtocol.OutputEvent['body']['category'] & string): string[] {
    const lines = this.client.said(category).split('\n');
    return lines
      .filter((line) => !line.startsWith('warning: '))
      .map((line) => line.replace(/\d+ ms/g, 'N ms'));
  }

  /** JSON, a line for each. */
  get text(): string {
    return this.#lines.map((line) => `${this.#plain(JSON.stringify(line, this.#without))}\n`).join('');
  }

  readonly #without = (key: string, value: unknown): unknown => {
    if (MEASURED.has(key)) return 'N';
    if (REFERENCES.has(key) && typeof value === 'number' && value > 0) return this.#name('ref', value);
    return value;
  };

  #plain(json: string): string {
    let text = json;
    for (const [differs, name] of this.known) text = text.replaceAll(differs, name);
    return text.replace(ADDRESS, (address) => this.#name('at', address));
  }

  #name(kind: string, value: string | number): string {
    const key = `${kind} ${value}`;
    const name = this.#names.get(key) ?? `${kind}#${this.#names.size + 1}`;
    this.#names.set(key, name);
    return name;
  }
}
