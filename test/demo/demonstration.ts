/** A lab of its own, the sample in it, the six steps of the scenario; and nothing left of it afterwards. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { nodePaths } from '../../agent/lab/description';
import { compile, lineCount } from '../support/c-programs';
import { expectEqual } from '../support/expect';
import { Godwit } from '../support/godwit';
import { endAll, type Outcome, run } from '../support/processes';
import { Scenario } from '../support/scenario';
import { heat } from './heat';
import { leftovers } from './leftovers';
import type { Screen } from './screen';

const LAB = 'demo';
const NODES: [string, string, string] = ['node1', 'node2', 'node3'];
/** The sample by itself, on the idlest tenth of a slow machine. */
const PLAIN_MS = 600_000;
/** What is shown of logs when a step has failed. */
const LAST_LINES = 12;

export interface StepTime {
  number: number;
  title: string;
  ms: number;
}

export class Demonstration {
  readonly times: StepTime[] = [];
  #folder = '';
  #scenario: Scenario | undefined;
  #lock: Server | undefined;
  #labTouched = false;
  #closed: Promise<void> | undefined;
  #at = 'Before the first step';

  constructor(private readonly screen: Screen) {}

  /** Has it made anything on this machine? */
  get begun(): boolean {
    return this.#folder !== '';
  }

  /** @throws whatever stops it; `close` in any case */
  async show(): Promise<void> {
    this.screen.title(
      'Godwit: a running program moves to another node under gdb',
      'Everything is real: the processes, the moves between network namespaces, and gdb as it comes.',
    );
    this.#lock = await onlyOne();
    if (this.#closed) throw new Error('it was closed before it began');
    this.#folder = freshFolder();
    const program = await this.#compile('heat');
    const plain = this.#runPlainly(await compile(heat.source, this.#folder, 'heat-alone'));
    const godwit = await this.#labUp();
    const scenario = new Scenario({ godwit, subject: heat, program, nodes: NODES, tell: this.screen });
    this.#scenario = scenario;
    await this.#step(1, 'On node1: a breakpoint, locals, two `next`s', () => scenario.stopOnFirstNode());
    await this.#step(2, 'It moves to node2 while it stands there', () => scenario.moveWhileStopped());
    await this.#step(3, 'It moves to node3 while it runs towards a conditional breakpoint', () =>
      scenario.moveWhileRunning(),
    );
    await this.#step(4, 'It moves back to node1 in the middle of a `next`', () => scenario.moveDuringNext());
    await this.#step(5, 'To node2 under a watchpoint, with a second gdb on its second process', () =>
      scenario.watchAcrossMove(),
    );
    await this.#step(6, 'It runs to its end, and nothing tells that it has travelled', async () => {
      const { status, stdout } = await this.screen.waiting('the same program without Godwit', plain);
      expectEqual('its exit status without Godwit', status, 0);
      await scenario.runToEnd(stdout);
      await scenario.checkHistory();
      this.screen.lines(await godwit.text(['history', scenario.job]));
    });
  }

  /** Where it stands and what was said last, for someone who must find out what went wrong. */
  report(error: unknown): string {
    const message = error instanceof Error ? error.message : String(error);
    const gdbs = this.#scenario?.transcripts.map((text, at) => section(`gdb ${at + 1}`, text)) ?? [];
    const nodes = this.#labTouched ? NODES : [];
    const agents = nodes.map((node) =>
      section(`the agent of ${node}`, logOf(nodePaths(LAB, node).agent.log)),
    );
    return [`${this.#at}: ${message}`, ...gdbs, ...agents].filter(Boolean).join('\n');
  }

  /** Ends and removes all that it has made; a second call waits for the first. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    endAll();
    try {
      if (this.#labTouched) await Godwit.labDown(LAB);
    } finally {
      if (this.#folder) rmSync(this.#folder, { recursive: true, force: true });
    }
    const left = this.#folder ? leftovers(LAB, this.#folder) : [];
    this.#lock?.close();
    expectEqual('what is left on this machine', left.join('\n'), '');
  }

  async #step(number: number, title: string, work: () => Promise<void>): Promise<void> {
    this.#at = `Step ${number}`;
    this.screen.step(number, title);
    const began = performance.now();
    await work();
    const ms = performance.now() - began;
    this.times.push({ number, title, ms });
    this.screen.took(ms);
  }

  async #compile(name: string): Promise<string> {
    const program = await this.screen.waiting(
      'compiling the sample',
      compile(heat.source, this.#folder, name),
    );
    this.screen.shorten(`${this.#folder}/`, './');
    this.screen.shorten(`${dirname(heat.source)}/`, '');
    this.screen.saw(`heat.c, ${lineCount(heat.source)} lines of C: 2 processes, 5 threads`);
    return program;
  }

  /** What it prints without Godwit; computed on the side, out of the way of what is shown. */
  #runPlainly(program: string): Promise<Outcome> {
    const outcome = run(['nice', '-n', '19', program, ...heat.args], { limitMs: PLAIN_MS });
    // It is asked for at the end; if the demonstration fails before, nobody asks.
    outcome.catch(() => {});
    return outcome;
  }

  async #labUp(): Promise<Godwit> {
    // This lab is nobody else's: what is there is what a demonstration that was killed has left.
    this.#labTouched = true;
    if ((await Godwit.labNodes(LAB)).length > 0) await Godwit.labDown(LAB);
    const up = Godwit.labUp(LAB, { nodes: NODES.length, temp: this.#folder });
    const godwit = await this.screen.waiting('starting a lab of three nodes', up);
    this.screen.saw(`a lab of three nodes on this machine: ${NODES.join(', ')}`);
    return godwit;
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
