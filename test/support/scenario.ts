/**
 * What Godwit is for, as a scenario that any Subject goes through: a program is debugged with gdb while it moves from
 * node to node, stopped and running. Each part throws where something is not as it must be.
 */
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HistoryEvent, MoveReport } from '../../agent/api/model';
import { lineOf } from './c-programs';
import { expectEqual, expectThat } from './expect';
import type { Gdb, Running } from './gdb';
import { type Godwit, typed } from './godwit';
import { copiesOf } from './processes';
import { type Registers, readRegisters, registerDifferences } from './registers';
import type { ConditionalStop, Subject, Values } from './subject';
import type { Teller } from './teller';

/** The program computes for a few seconds between stops; a slow machine takes many times that. */
const STOP_MS = 180_000;
/** So that a command that was just given is under way in the program. */
const UNDER_WAY_MS = 400;
/** The source lets its copy go right after the destination runs. */
const ONE_COPY_MS = 60_000;

export interface Setting {
  godwit: Godwit;
  subject: Subject;
  /** The path of the compiled program; nothing else on this machine runs that file. */
  program: string;
  /** The nodes to go through; the first is the job's home. */
  nodes: [string, string, string];
  tell: Teller;
}

/** What a stopped program looks like to its debugger. */
interface DebuggerView {
  where: string;
  stack: string;
  locals: string;
  registers: Registers;
}

export class Scenario {
  readonly moves: MoveReport[] = [];
  #job = '';
  #processes = 0;
  #gdb!: Gdb;
  readonly #gdbs: Gdb[] = [];

  constructor(private readonly setting: Setting) {}

  get job(): string {
    return this.#job;
  }

  /** What the debuggers were told and said, for a report of what went wrong. */
  get transcripts(): string[] {
    return this.#gdbs.map((gdb) => gdb.transcript);
  }

  /** 1. Stopped before its first instruction; a breakpoint, locals, two `next`s. */
  async stopOnFirstNode(): Promise<void> {
    const { godwit, subject, nodes, tell, program } = this.setting;
    const { first } = subject;
    tell.shell(typed(['run', '--on', nodes[0], '--detach', '--stopped', '--', program, ...subject.args]));
    const launched = await godwit.run([program, ...subject.args], { on: nodes[0], stopped: true });
    this.#job = launched.id;
    expectEqual('the node it was started on', launched.node, nodes[0]);
    expectEqual('its output before it has begun', await godwit.logs(launched.id), '');
    tell.saw(`job ${launched.id} on ${launched.node}, stopped before its first instruction`);

    tell.shell(typed(['gdb', launched.id]));
    this.#gdb = await this.#openGdb();
    await this.#say(this.#gdb, `break ${first.function}`);
    await this.#say(this.#gdb, 'continue', STOP_MS);
    await this.#expectAt(this.#gdb, first.at);
    const frame = await this.#gdb.do('frame');
    expectThat(`gdb stands in ${first.function}`, frame.includes(`${first.function} (`), frame);
    await this.#say(this.#gdb, 'info locals');
    await this.#expectValues(first.values);
    for (const place of first.nexts.slice(0, 2)) await this.#next(this.#gdb, place);
  }

  /** 2. Moved while it stands there: nothing has changed; two more `next`s; a conditional breakpoint. */
  async moveWhileStopped(): Promise<void> {
    const { subject, nodes, tell } = this.setting;
    const before = await this.#look(this.#gdb);
    await this.#migrate(nodes[1]);
    await this.#expectSame(this.#gdb, before);
    for (const place of subject.first.nexts.slice(2)) await this.#next(this.#gdb, place);
    await this.#breakIf(subject.soon);
    await tell.waiting('the program runs to it', this.#say(this.#gdb, 'continue', STOP_MS));
    await this.#expectStop(subject.soon, nodes[1]);
  }

  /** 3. Moved while it runs towards a conditional breakpoint. */
  async moveWhileRunning(): Promise<void> {
    const { subject, nodes } = this.setting;
    await this.#breakIf(subject.later);
    const running = this.#start(this.#gdb, 'continue');
    await this.#moveDuring(running, nodes[2]);
    await this.#finish(running, 'the program runs on to its breakpoint');
    await this.#expectStop(subject.later, nodes[2]);
  }

  /** 4. Moved, back home, during a `next` over a line that takes seconds. */
  async moveDuringNext(): Promise<void> {
    const { subject, nodes, tell } = this.setting;
    const { at, condition, next } = subject.long;
    await this.#gdb.do('delete');
    await this.#say(this.#gdb, `tbreak ${this.#place(at)}${condition ? ` if ${condition}` : ''}`);
    await tell.waiting('the program runs to it', this.#say(this.#gdb, 'continue', STOP_MS));
    await this.#expectAt(this.#gdb, at);
    const running = this.#start(this.#gdb, 'next');
    await this.#moveDuring(running, nodes[0]);
    expectThat('the `next` was still going when the move was over', !running.answered);
    await this.#finish(running, 'the line goes on');
    await this.#expectAt(this.#gdb, next);
    await this.#expectOn(nodes[0]);
    tell.saw(`the \`next\` begun on ${nodes[2]} ended on ${nodes[0]}, on the next line`);
  }

  /** 5. A watchpoint set on one node fires on another; a second gdb on a second process goes along. */
  async watchAcrossMove(): Promise<void> {
    const { subject, nodes, tell } = this.setting;
    const { expression, from, to } = subject.watch;
    await this.#gdb.do('delete');
    const set = await this.#say(this.#gdb, `watch ${expression}`);
    expectThat('it is a hardware watchpoint', set.startsWith('Hardware watchpoint'), set);
    const second = subject.child && (await this.#openSecond(subject.child));
    const running = this.#start(this.#gdb, 'continue');
    if (second) await this.#finish(second.running, 'the second process comes by', second.gdb);
    const before = second && (await this.#look(second.gdb));
    await this.#moveDuring(running, nodes[1]);
    expectThat('the watchpoint had not fired when the move was over', !running.answered);
    if (second && before) await this.#goOnInSecond(second.gdb, before, subject.child!.nexts);
    const stop = await this.#finish(running, `the program runs on until ${expression} changes`);
    const [, old, now] = /Old value = (.*)\nNew value = (.*)/.exec(stop) ?? [];
    expectEqual(`the values of ${expression} at the watchpoint`, `${old} to ${now}`, `${from} to ${to}`);
    await this.#expectOn(nodes[1]);
    tell.saw(`the watchpoint set on ${nodes[0]} fired on ${nodes[1]}: ${from} became ${to}`);
  }

  /** 6. To its end; the answer is what it printed. */
  async runToEnd(expected: string): Promise<void> {
    const { godwit, tell } = this.setting;
    await this.#gdb.do('delete');
    const last = await tell.waiting('the program runs to its end', this.#say(this.#gdb, 'continue', STOP_MS));
    expectThat('gdb says that it exited normally', last.includes('exited normally'), last);
    tell.shell(typed(['wait', this.#job]));
    const { exit, signal } = await godwit.wait(this.#job);
    expectEqual('its exit status', exit, 0);
    expectEqual('the signal that ended it', signal, null);
    tell.saw('exit status 0');
    tell.shell(typed(['logs', this.#job]));
    const output = await godwit.logs(this.#job);
    expectEqual('its output', output, expected);
    tell.saw(`its output, ${output.length} bytes, is byte for byte what it prints without Godwit`);
  }

  /** 6. Its history has every stay and, of every move, the phases. */
  async checkHistory(): Promise<HistoryEvent[]> {
    const { godwit, nodes, tell } = this.setting;
    tell.shell(typed(['history', this.#job]));
    const events = await godwit.history(this.#job);
    const names = events.map(({ event }) => event);
    expectEqual('the first event', names[0], 'launched');
    expectEqual('the last event', names.at(-1), 'ended');
    const moves = events.flatMap(({ move }) => (move ? [move] : []));
    const route = [events[0]!.node, ...moves.map(({ to }) => to)];
    expectEqual('the stays', route.join(', '), [...nodes, nodes[0], nodes[1]].join(', '));
    expectEqual(
      'the moves that it shows',
      JSON.stringify(moves.map(({ epoch, phases }) => ({ epoch, phases }))),
      JSON.stringify(this.moves.map(({ epoch, phases }) => ({ epoch, phases }))),
    );
    tell.saw(`it stayed on ${route.join(', then ')}; ${moves.length} moves with their phases`);
    return events;
  }

  /** Ends what is left of it, whatever state it is in. */
  async close(): Promise<void> {
    for (const gdb of this.#gdbs) gdb.kill();
    if (this.#job) await this.setting.godwit.kill(this.#job).catch(() => {});
  }

  // ---- gdb

  async #openGdb(pid?: number): Promise<Gdb> {
    const gdb = await this.setting.godwit.gdb(this.#job, pid === undefined ? {} : { pid });
    this.#gdbs.push(gdb);
    await gdb.do('set breakpoint condition-evaluation target');
    return gdb;
  }

  async #say(gdb: Gdb, command: string, limitMs?: number): Promise<string> {
    const answer = await gdb.do(command, limitMs);
    this.setting.tell.gdb(command, answer, this.#nameOf(gdb));
    return answer;
  }

  /** A command during which the program runs. */
  #start(gdb: Gdb, command: string): Running {
    this.setting.tell.gdb(command, '(the program runs)', this.#nameOf(gdb));
    return gdb.start(command);
  }

  async #finish(running: Running, what: string, gdb = this.#gdb): Promise<string> {
    const answer = await this.setting.tell.waiting(what, running.result(STOP_MS));
    this.setting.tell.answer(answer, this.#nameOf(gdb));
    return answer;
  }

  #nameOf(gdb: Gdb): string | undefined {
    return gdb === this.#gdb ? undefined : 'second gdb';
  }

  async #next(gdb: Gdb, place: string): Promise<void> {
    await this.#say(gdb, 'next');
    await this.#expectAt(gdb, place);
  }

  async #breakIf({ at, condition }: ConditionalStop): Promise<void> {
    await this.#gdb.do('delete');
    const set = await this.#say(this.#gdb, `break ${this.#place(at)} if ${condition}`);
    expectThat('gdb could set the breakpoint', set.startsWith('Breakpoint '), set);
  }

  /** The line with this text, as gdb names it. */
  #place(text: string): string {
    const { source } = this.setting.subject;
    return `${basename(source)}:${lineOf(source, text)}`;
  }

  async #expectStop({ at, condition, values }: ConditionalStop, node: string): Promise<void> {
    await this.#expectAt(this.#gdb, at);
    const list = await this.#gdb.do('info breakpoints');
    expectThat('its condition is evaluated beside the program', list.includes('(target evals)'), list);
    await this.#expectValues(values);
    await this.#expectOn(node);
    this.setting.tell.saw(`stopped on ${node} where ${condition}`);
  }

  async #expectAt(gdb: Gdb, place: string): Promise<void> {
    const where = await gdb.do('frame');
    const expected = this.#place(place);
    expectThat(`gdb stands at ${expected}, "${place}"`, where.includes(`${expected}\n`), where);
  }

  async #expectValues(values: Values): Promise<void> {
    for (const [expression, value] of Object.entries(values))
      expectEqual(`the value of ${expression}`, await this.#gdb.print(expression), value);
    const list = Object.entries(values).map((pair) => pair.join(' is '));
    if (list.length > 0) this.setting.tell.saw(list.join(', '));
  }

  async #look(gdb: Gdb): Promise<DebuggerView> {
    // It is to come from the process, not from what gdb remembers.
    await gdb.do('maintenance flush dcache');
    const registers = await readRegisters(gdb);
    const where = await gdb.do('frame');
    const stack = await gdb.do('backtrace');
    return { where, stack, locals: await gdb.do('info locals'), registers };
  }

  async #expectSame(gdb: Gdb, before: DebuggerView): Promise<void> {
    const after = await this.#look(gdb);
    for (const aspect of ['where', 'stack', 'locals'] as const)
      expectEqual(`${aspect} after the move`, after[aspect], before[aspect]);
    const differences = registerDifferences(before.registers, after.registers);
    expectEqual('the registers that changed', differences.join('\n'), '');
    const [threads, [one]] = [after.registers.size, [...after.registers.values()]];
    this.setting.tell.saw(
      `same line, same stack, same locals, same ${one!.size} registers of ${threads === 1 ? 'its one thread' : `each of ${threads} threads`}`,
    );
  }

  // ---- Moves

  async #moveDuring(running: Running, to: string): Promise<void> {
    await sleep(UNDER_WAY_MS);
    expectThat('the program runs before the move', !running.answered);
    await this.#migrate(to);
  }

  async #migrate(to: string): Promise<void> {
    const { godwit, tell, program } = this.setting;
    const before = await godwit.job(this.#job);
    this.#processes = copiesOf(program).length;
    tell.shell(typed(['migrate', this.#job, to]));
    const report = await godwit.migrate(this.#job, to);
    this.moves.push(report);
    expectEqual('where it came from and went', `${report.from} to ${report.to}`, `${before.node} to ${to}`);
    tell.moved(report);
    await this.#expectOn(to);
    await this.#expectOneCopy();
  }

  async #expectOn(node: string): Promise<void> {
    expectEqual('the node that it is on', (await this.setting.godwit.job(this.#job)).node, node);
  }

  /** As many processes run the program's file as before: the copy that was left behind has gone. */
  async #expectOneCopy(): Promise<void> {
    const count = () => copiesOf(this.setting.program).length;
    for (const end = Date.now() + ONE_COPY_MS; count() > this.#processes && Date.now() < end; )
      await sleep(20);
    expectEqual('the number of its processes on this machine', count(), this.#processes);
  }

  // ---- The second process

  async #openSecond({ pid: expression, at }: NonNullable<Subject['child']>) {
    const { tell } = this.setting;
    const pid = Number(await this.#gdb.print(expression));
    tell.shell(typed(['gdb', this.#job, '-p', String(pid)]));
    const gdb = await this.#openGdb(pid);
    const set = await this.#say(gdb, `break ${this.#place(at)}`);
    expectThat('the second gdb could set its breakpoint', set.startsWith('Breakpoint '), set);
    return { gdb, running: this.#start(gdb, 'continue') };
  }

  async #goOnInSecond(gdb: Gdb, before: DebuggerView, nexts: string[]): Promise<void> {
    await this.#expectSame(gdb, before);
    for (const place of nexts) await this.#next(gdb, place);
    await gdb.do('delete');
    await this.#say(gdb, 'detach');
    await gdb.quit();
    this.setting.tell.saw('the second process, debugged from the second gdb, went along');
  }
}
