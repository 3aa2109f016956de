/** What every demonstration stands on: a folder and a lab of its own, steps with their times; nothing is left of it. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodePaths } from '../../agent/lab/description';
import { expectEqual } from '../support/expect';
import { Godwit } from '../support/godwit';
import { endAll } from '../support/processes';
import { leftovers } from './leftovers';
import type { Screen } from './screen';

export const LAB = 'demo';
export const NODES: [string, string, string] = ['node1', 'node2', 'node3'];
/** What is shown of logs when a step has failed. */
const LAST_LINES = 12;

export interface StepTime {
  number: number;
  title: string;
  ms: number;
}

export class Stage {
  readonly times: StepTime[] = [];
  #folder = '';
  #lock: Server | undefined;
  #labTouched = false;
  #closed: Promise<void> | undefined;
  #at = 'Before the first step';

  constructor(readonly screen: Screen) {}

  /** Has anything been made on this machine? */
  get begun(): boolean {
    return this.#folder !== '';
  }

  /** For what the demonstration makes: gone with it. */
  get folder(): string {
    return this.#folder;
  }

  /** @throws Error when another demonstration is being shown */
  async open(): Promise<void> {
    this.#lock = await onlyOne();
    if (this.#closed) throw new Error('it was closed before it began');
    this.#folder = freshFolder();
  }

  async labUp(): Promise<Godwit> {
    // This lab is the demonstration's alone: what is there was left by one that was killed.
    this.#labTouched = true;
    if ((await Godwit.labNodes(LAB)).length > 0) await Godwit.labDown(LAB);
    const up = Godwit.labUp(LAB, { nodes: NODES.length, temp: this.#folder, byCommand: true });
    const godwit = await this.screen.waiting('starting a lab of three nodes', up);
    this.screen.saw(`a lab of three nodes on this machine: ${NODES.join(', ')}`);
    return godwit;
  }

  async step(number: number, title: string, work: () => Promise<void>): Promise<void> {
    this.#at = `Step ${number}`;
    this.screen.step(number, title);
    const began = performance.now();
    await work();
    const ms = performance.now() - began;
    this.times.push({ number, title, ms });
    this.screen.took(ms);
  }

  /** Where it stands and what was said last, for someone who must find out what went wrong. */
  report(error: unknown, sections: [title: string, text: string][] = []): string {
    const message = error instanceof Error ? error.message : String(error);
    const nodes = this.#labTouched ? NODES : [];
    const agents = nodes.map((node) =>
      section(`the agent of ${node}`, logOf(nodePaths(LAB, node).agent.log)),
    );
    const others = sections.map(([title, text]) => section(title, text));
    return [`${this.#at}: ${message}`, ...others, ...agents].filter(Boolean).join('\n');
  }

  /**
   * Ends and removes all that was made; a second call waits for the first.
   * @param first what is to be closed before the lab goes
   */
  close(first: () => Promise<void> = async () => {}): Promise<void> {
    this.#closed ??= this.#close(first);
    return this.#closed;
  }

  async #close(first: () => Promise<void>): Promise<void> {
    try {
      await first();
    } finally {
      endAll();
      try {
        if (this.#labTouched) await Godwit.labDown(LAB);
      } finally {
        if (this.#folder) rmSync(this.#folder, { recursive: true, force: true });
      }
    }
    const left = this.#folder ? leftovers(LAB, this.#folder) : [];
    this.#lock?.close();
    expectEqual('what is left on this machine', left.join('\n'), '');
  }
}

/** As long as such a name can be, so that no version of Node.js pads it to another one. */
const LOCK = `\0${'godwit-demo'.padEnd(107, '-')}`;

/**
 * There is one lab of that name, so one demonstration at a time: who has this socket shows it. It is an abstract one,
 * which goes with its process (unix(7)).
 */
function onlyOne(): Promise<Server> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', () => reject(new Error('another demonstration is being shown on this machine')));
    server.listen(LOCK, () => resolve(server));
  });
}

/** Where there is only one, the folders that are there were left by some that were killed. */
function freshFolder(): string {
  const old = readdirSync(tmpdir()).filter((name) => /^godwit-demo-\w{6}$/.test(name));
  for (const name of old) rmSync(join(tmpdir(), name), { recursive: true, force: true });
  return mkdtempSync(join(tmpdir(), 'godwit-demo-'));
}

function section(title: string, text: string): string {
  const lines = text.trim().split('\n').slice(-LAST_LINES);
  return text.trim() ? [`--- ${title}, at last`, ...lines].join('\n') : '';
}

function logOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
