/**
 * What Godwit is for, through VS Code's workbench, as a scenario that any Subject goes through: a program is debugged in
 * the editor while it moves from node to node, stopped and running. Each part throws where something is not as it must be.
 */
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MoveReport } from '../../agent/api/model';
import { lineOf } from '../support/c-programs';
import { expectEqual, expectThat } from '../support/expect';
import type { Godwit } from '../support/godwit';
import type { ConditionalStop, Subject, Values } from '../support/subject';
import type { Teller } from '../support/teller';
import type { Frame } from './harness/debug-view';
import { until } from './harness/wait';
import type { Workbench } from './harness/workbench';

/** The program computes for a few seconds between stops; a slow machine takes many times that. */
const STOP_MS = 180_000;
/** What is shown of a stopped program and does not change for so long is no more about to. */
const REST_MS = 1_500;
/** So that a command that was just given is under way in the program. */
const UNDER_WAY_MS = 400;

/** What is used of an HTMLCanvasElement; the tests know no types of the page. */
interface Canvas {
  width: number;
  height: number;
  toDataURL(): string;
  getContext(kind: '2d'): {
    getImageData(x: number, y: number, width: number, height: number): { data: Uint8ClampedArray };
  };
}

export interface EditorSetting {
  godwit: Godwit;
  workbench: Workbench;
  subject: Subject;
  /** The path of the compiled program. */
  program: string;
  /** The nodes to go through; the first is the job's home. */
  nodes: [string, string, string];
  tell: Teller;
  /** Makes a picture of what is to be seen. */
  picture(name: string): Promise<void>;
}

/** What a stopped program looks like in the editor. */
interface DebuggerView {
  frames: Frame[];
  variables: Values;
  watches: Values;
}

export class EditorScenario {
  #job = '';

  constructor(private readonly setting: EditorSetting) {}

  get job(): string {
    return this.#job;
  }

  /** 1. From the palette, to a breakpoint that was set in the editor. */
  async launch(): Promise<void> {
    const { workbench, subject, nodes, tell, program, godwit } = this.setting;
    const { first } = subject;
    await workbench.setBreakpoint(this.#file, this.#line(first.at));
    tell.saw(`a breakpoint at ${this.#file}:${this.#line(first.at)}`);
    await workbench.command('Godwit: Launch and Debug Job…');
    await workbench.pick('The program to launch', program);
    await workbench.answer('Its arguments', subject.args.join(' '));
    await workbench.pick('The node on which it starts', nodes[0]);
    await tell.waiting('it is launched and stops', this.#stoppedAt(first.at));
    const job = (await godwit.jobs()).find(({ command }) => command[0] === program);
    if (!job) throw new Error(`no job runs ${program}`);
    this.#job = job.id;
    await this.#expectOn(nodes[0]);
    const [top] = await workbench.debug.frames();
    expectEqual('the function that the call stack shows', top!.function.replace(/\(.*/, ''), first.function);
    await this.#expectValues(first.values);
    tell.saw(`job ${job.id} stands on ${nodes[0]} in ${first.function}`);
    await this.setting.picture('1-launched');
  }

  /** 2. Two steps; moved while it stands there: nothing has changed. */
  async moveWhileStopped(): Promise<void> {
    const { subject, nodes, workbench, tell } = this.setting;
    for (const place of subject.first.nexts.slice(0, 2)) await this.#stepOver(place);
    const before = await this.#look();
    await workbench.command('Godwit: Migrate Job…');
    await workbench.pick('where shall it go?', nodes[1]);
    await this.#movedFromTo(nodes[0], nodes[1]);
    const after = await this.#look();
    for (const aspect of ['frames', 'variables', 'watches'] as const)
      expectEqual(`${aspect} after the move`, JSON.stringify(after[aspect]), JSON.stringify(before[aspect]));
    tell.saw('the same line, call stack, variables and watches');
    await this.setting.picture('2-moved-while-stopped');
  }

  /** 3. Two more steps, on the other node; a conditional breakpoint hits there. */
  async stopOnCondition(): Promise<void> {
    const { subject, nodes } = this.setting;
    for (const place of subject.first.nexts.slice(2)) await this.#stepOver(place);
    await this.#goTo(subject.soon);
    await this.#stoppedAt(subject.soon.at);
    await this.#expectConditionMet(subject.soon, nodes[1]);
    await this.setting.picture('3-conditional-breakpoint');
  }

  /** 4. Moved from the sidebar while it runs towards a breakpoint. */
  async moveWhileRunning(): Promise<void> {
    const { subject, nodes, workbench } = this.setting;
    await this.#goTo(subject.later);
    await workbench.openView('Godwit');
    await workbench.contextMenu(workbench.row(subject.name), 'Migrate Job…');
    await workbench.pick('where shall it go?', nodes[2]);
    await this.#movedFromTo(nodes[1], nodes[2]);
    await this.#shownUnder(nodes[2]);
    await workbench.openView('Run and Debug');
    await this.#stoppedAt(subject.later.at);
    await this.#expectConditionMet(subject.later, nodes[2]);
    await this.setting.picture('4-moved-while-running');
  }

  /** 5. Moved during a step over a line that takes seconds. */
  async moveDuringStep(): Promise<void> {
    const { subject, nodes, workbench, tell } = this.setting;
    const { at, condition, next } = subject.long;
    await this.#goTo({ at, condition: condition ?? '', values: {} });
    await this.#stoppedAt(at);
    await workbench.debug.press('Step Over');
    await sleep(UNDER_WAY_MS);
    await workbench.command('Godwit: Migrate Job…');
    await workbench.pick('where shall it go?', nodes[0]);
    await this.#movedFromTo(nodes[2], nodes[0]);
    const frames = await workbench.debug.frames();
    expectThat(
      'the step was still going when the move was over',
      frames.length === 0,
      JSON.stringify(frames),
    );
    await tell.waiting('the line goes on', this.#stoppedAt(next));
    await this.#expectOn(nodes[0]);
    tell.saw(`the step begun on ${nodes[2]} ended on ${nodes[0]}, on the next line`);
    await this.setting.picture('5-moved-in-a-step');
  }

  /** 6. The sidebar, the timeline, the load, the console. */
  async lookAround(): Promise<void> {
    const { workbench, nodes, tell, picture } = this.setting;
    await workbench.openView('Godwit');
    await this.#shownUnder(nodes[0]);
    await this.#seeTimeline();
    await picture('6-timeline');
    await this.#seeLoad();
    await picture('6-load');
    await this.#seeConsole();
    await picture('6-console');
    await workbench.openView('Run and Debug');
    tell.saw('the sidebar, the timeline, the load and the console agree with the cluster');
  }

  /** A bar for each stay, a mark for each move with its phases on hover. */
  async #seeTimeline(): Promise<void> {
    const { workbench, nodes, tell } = this.setting;
    await workbench.command('Godwit: Show Migration Timeline');
    const timeline = workbench.webview('Migration Timeline');
    await timeline.opened();
    const lane = timeline.content.locator(`.lane[data-job="${this.#job}"]`);
    const stays = () => lane.locator('.mark[data-kind="stay"] .label').allTextContents();
    const route = [...nodes, nodes[0]].join();
    await until(`the stays ${route}`, stays, (seen) => seen.join() === route);
    const moves = lane.locator('.mark[data-kind="move"]');
    expectEqual('the moves in the timeline', await moves.count(), nodes.length);
    await moves.last().hover();
    const said = await timeline.content.locator('.tooltip:visible').innerText();
    for (const word of [`${nodes[2]} → ${nodes[0]}`, 'dump', 'restore', 'frozen'])
      expectThat(`the timeline tells of ${word}`, said.includes(word), said);
    tell.saw(`the timeline: ${route.replaceAll(',', ', then ')}; each move with its phases`);
  }

  /** A card for each node, and charts with something in them. */
  async #seeLoad(): Promise<void> {
    const { workbench, nodes, tell } = this.setting;
    await workbench.command('Godwit: Show Cluster Load');
    const load = workbench.webview('Cluster Load');
    await load.opened();
    const names = () => load.content.locator('.card h2').allTextContents();
    await until('a card for each node', names, (seen) => seen.join() === nodes.join());
    const canvases = load.content.locator('canvas');
    // Of each, on how many pixels something is drawn.
    const drawn = () =>
      canvases.evaluateAll((all) =>
        (all as unknown as Canvas[]).map((canvas) => {
          const { width, height } = canvas;
          const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
          return data.filter((value, at) => at % 4 === 3 && value > 0).length;
        }),
      );
    await until('charts with something in them', drawn, (seen) => {
      return seen.length === 2 * nodes.length && seen.every((inked) => inked > 0);
    });
    // Time goes on in them also where nothing happens.
    const pictures = () =>
      canvases.evaluateAll((all) => (all as unknown as Canvas[]).map((canvas) => canvas.toDataURL()));
    const before = await pictures();
    await until(
      'charts that go on',
      async () => (await pictures()).filter((picture, at) => picture !== before[at]).length,
      (changed) => changed === before.length,
    );
    tell.saw('the load of each node, CPU and memory, as it changes');
  }

  /** Every line once, in order: what is in sight is the end of the output. */
  async #seeConsole(): Promise<void> {
    const { workbench, subject, godwit, tell } = this.setting;
    await workbench.command('Godwit: Show Console');
    const console = workbench.webview(`Console: ${subject.name}`);
    await console.opened();
    const output = (await godwit.logs(this.#job)).trimEnd().split('\n');
    const rows = async () => {
      const all = await console.content.locator('.xterm-rows > div').allTextContents();
      return all.map((row) => row.replaceAll('\u00a0', ' ').trimEnd());
    };
    const seen = await until('the output in the console', rows, (all) => all.includes(output.at(-1)!));
    const shown = seen.filter((line) => line !== '');
    expectEqual('the console in sight', shown.join('\n'), output.slice(-shown.length).join('\n'));
    tell.saw(`the console: ${output.length} lines, each once, in order`);
  }

  /** In the tree the job stands below this node. */
  async #shownUnder(node: string): Promise<void> {
    const { workbench, subject } = this.setting;
    const below = (tree: string[]) => {
      const job = tree.findIndex((line) => line.startsWith(`  ${subject.name}`));
      return tree.slice(0, job).findLast((line) => !line.startsWith(' '));
    };
    await until(
      `${subject.name} below ${node} in the sidebar`,
      () => workbench.tree(),
      (tree) => below(tree)?.startsWith(node) ?? false,
    );
  }

  /** 7. To its end; the answer is what it printed. */
  async runToEnd(expected: string): Promise<void> {
    const { workbench, godwit, tell } = this.setting;
    await workbench.debug.removeAllBreakpoints();
    await workbench.debug.press('Continue');
    await tell.waiting('the program runs to its end', workbench.debug.ended(STOP_MS));
    const { exit, signal } = await godwit.wait(this.#job);
    expectEqual('its exit status', exit, 0);
    expectEqual('the signal that ended it', signal, null);
    const output = await godwit.logs(this.#job);
    expectEqual('its output', output, expected);
    tell.saw(`exit status 0; its output, ${output.length} bytes, is what it prints without Godwit`);
    await this.setting.picture('7-ended');
  }

  /** Ended by the toolbar's Stop: what the session has launched goes with it. */
  async stop(): Promise<void> {
    const { workbench, godwit } = this.setting;
    await workbench.debug.press('Stop');
    await workbench.debug.ended();
    const { signal } = await godwit.wait(this.#job);
    expectThat('a signal has ended the job', signal !== null);
  }

  // ---- What is done

  async #stepOver(place: string): Promise<void> {
    await this.setting.workbench.debug.press('Step Over');
    await this.#stoppedAt(place);
  }

  /** Sets the one breakpoint that there then is, and lets the program run towards it. */
  async #goTo({ at, condition }: ConditionalStop): Promise<void> {
    const { workbench } = this.setting;
    await workbench.debug.removeAllBreakpoints();
    if (condition) await workbench.conditionalBreakpoint(this.#file, this.#line(at), condition);
    else await workbench.setBreakpoint(this.#file, this.#line(at));
    await workbench.debug.press('Continue');
  }

  // ---- What must be so

  async #movedFromTo(from: string, to: string): Promise<void> {
    const { workbench, tell } = this.setting;
    await workbench.debug.consoleShows(`Moved ${from} → ${to}`);
    const report = await this.#lastMove();
    expectEqual('where it came from and went', `${report.from} to ${report.to}`, `${from} to ${to}`);
    tell.moved(report);
    await this.#expectOn(to);
  }

  async #lastMove(): Promise<MoveReport> {
    const events = await this.setting.godwit.history(this.#job);
    const move = events.flatMap(({ move }) => (move ? [move] : [])).at(-1);
    if (!move) throw new Error('its history has no move');
    return move;
  }

  /** Once it has come to rest: the parts come in one after the other, and until then old ones are shown. */
  async #look(): Promise<DebuggerView> {
    let last = '';
    let since = 0;
    return until(
      'a stopped program that comes to rest',
      () => this.#glance(),
      (sight) => {
        const now = JSON.stringify(sight);
        if (now !== last) since = Date.now();
        last = now;
        return Object.keys(sight.variables).length > 0 && Date.now() - since > REST_MS;
      },
    );
  }

  async #glance(): Promise<DebuggerView> {
    const { debug } = this.setting.workbench;
    return {
      frames: await debug.frames(),
      variables: await debug.variables(),
      watches: await debug.watches(),
    };
  }

  #stoppedAt(place: string): Promise<Frame> {
    return this.setting.workbench.debug.stoppedAt(this.#file, this.#line(place), STOP_MS);
  }

  async #expectConditionMet({ condition, values }: ConditionalStop, node: string): Promise<void> {
    await this.#expectValues(values);
    await this.#expectOn(node);
    this.setting.tell.saw(`stopped on ${node} where ${condition}`);
  }

  /** In the watch view; what is not in it yet is put there. */
  async #expectValues(values: Values): Promise<void> {
    const { debug } = this.setting.workbench;
    const there = await debug.watches();
    for (const expression of Object.keys(values))
      if (!(expression in there)) await debug.addWatch(expression);
    const good = (seen: Values) => Object.entries(values).every(([name, value]) => seen[name] === value);
    await until(`the watches ${JSON.stringify(values)}`, () => debug.watches(), good);
    const list = Object.entries(values).map((pair) => pair.join(' is '));
    if (list.length > 0) this.setting.tell.saw(list.join(', '));
  }

  async #expectOn(node: string): Promise<void> {
    expectEqual('the node that it is on', (await this.setting.godwit.job(this.#job)).node, node);
    await this.setting.workbench.debug.placeIs(node);
  }

  get #file(): string {
    return basename(this.setting.subject.source);
  }

  #line(text: string): number {
    return lineOf(this.setting.subject.source, text);
  }
}
