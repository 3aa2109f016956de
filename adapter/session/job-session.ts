/** The job meanwhile: what is told of it and of its moves, its children, its terminal. */
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Event } from '@vscode/debugadapter';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { asGodwitError, type GodwitError } from '../../agent/api/errors';
import type { Exit, MoveReport } from '../../agent/api/model';
import { type LaunchArguments, MigrateArguments, parseArguments } from '../configuration/arguments';
import { jobLost, lineGone, notDebugging } from '../errors';
import { wish } from '../gdb/given-up';
import type { Child } from '../job/children';
import type { Debuggee, DebuggeeListener } from '../job/debuggee';
import type { MoveTold } from '../job/moves';
import { NavigationSession } from './navigation-session';

/** When the job is said to have ended, gdb is about to say so too, with the same; it has this long. */
export const LAST_WORD_MS = 2_000;
/** For an editor to begin a child's session: the child's stub waits no longer. */
const CHILD_MS = 60_000;
/** For an editor to open a terminal. */
const TERMINAL_MS = 60_000;
/** Beside the bundle. */
const COMMAND = join(__dirname, 'godwit.cjs');

export type Opening = Pick<
  LaunchArguments,
  'gdb' | 'console' | 'setupCommands' | 'sourceFileMap' | 'followChildren' | 'stopInChildren'
>;

/** Why a session comes to its end. */
export type End =
  /** The process that is debugged has ended. */
  | { exit: Exit }
  /** The program may run on, out of sight. */
  | { failure: GodwitError }
  /** The client wants it. */
  | { kill: boolean };

export abstract class JobSession extends NavigationSession {
  protected debuggee: Debuggee | undefined;
  /** How many jobs there have been: what is said of an earlier one is not heard. */
  protected jobs = 0;
  /** What children's sessions have in common with this one. */
  private handedDown: object = {};

  protected abstract get isEnding(): boolean;
  protected abstract endWith(why: End): void;
  /** What the job has printed; resolves when more may come. */
  protected abstract output(text: string): Promise<void>;

  /** gdb is there, and the program stands. */
  protected async connected(debuggee: Debuggee, wanted: Opening, patienceMs: number): Promise<void> {
    const { console, followChildren } = wanted;
    if (followChildren) await this.followChildren(debuggee, wanted);
    if (console === 'debugConsole') debuggee.follow(patienceMs);
    if (console === 'integratedTerminal' || console === 'externalTerminal')
      this.openTerminal(debuggee, console);
  }

  // ---- Its terminal

  /** The editor runs the command that shows the job's terminal and types into it. */
  private openTerminal({ job, socket }: Debuggee, kind: 'integratedTerminal' | 'externalTerminal'): void {
    const none = (why: string) =>
      this.say(`The editor opened no terminal: ${why}. \`godwit attach ${job.id}\` shows it.`, 'important');
    if (!this.supportsRunInTerminalRequest) {
      none('it opens none for a debugger');
      return;
    }
    const terminal = {
      kind: kind === 'integratedTerminal' ? ('integrated' as const) : ('external' as const),
      title: job.name,
      cwd: '/',
      args: [process.execPath, COMMAND, 'attach', job.id, '--agent', socket],
      // The adapter's own program may be the editor's.
      env: { ELECTRON_RUN_AS_NODE: '1' },
    };
    this.runInTerminalRequest(terminal, TERMINAL_MS, ({ success, message }) => {
      if (!success) none(message ?? 'it does not say why');
    });
  }

  // ---- Its children

  /** Those that gdb lets go from now on. */
  private async followChildren({ socket }: Debuggee, wanted: Opening): Promise<void> {
    const { gdb, setupCommands, sourceFileMap, followChildren, stopInChildren } = wanted;
    this.handedDown = { agent: socket, gdb, setupCommands, sourceFileMap, followChildren, stopInChildren };
    this.forkTold = this.canStartDebugging && (await this.python.ask('follow_children', {}));
    if (this.forkTold) return;
    const why = this.canStartDebugging
      ? "the job's node has a version of Godwit that can't"
      : 'this editor begins no sessions that a debugger asks for';
    this.say(`Children are not followed: ${why}.`, 'important');
  }

  /** It stands before its first instruction, and waits for a session of its own. */
  private child(child: Child): void {
    const { pid, session, program = '', why = '' } = child;
    const { debuggee } = this;
    if (!debuggee || this.isEnding) return;
    if (session === undefined) {
      this.sayOf(`Process ${pid}, a child, is not debugged: ${why}.`);
      return;
    }
    const configuration = {
      ...this.handedDown,
      type: 'godwit',
      name: `${program ? basename(program) : debuggee.job.name}: process ${pid}`,
      ...{ job: debuggee.job.id, process: pid, __child: { session, program } },
    };
    this.sendRequest(
      'startDebugging',
      { request: 'attach', configuration },
      CHILD_MS,
      ({ success, message }) => {
        // One that is only late may still come, until the stub has waited long enough.
        if (success || message === 'timeout') return;
        this.sayOf(
          `Process ${pid}, a child, is not debugged: the editor began no session for it: ${message ?? 'it does not say why'}`,
        );
        debuggee.letGo(child).catch((error) => this.sayOf(asGodwitError(error).toLine()));
      },
    );
  }

  // ---- Its moves

  protected override customRequest(command: string, response: DebugProtocol.Response, args: unknown): void {
    if (command === 'godwit.migrate') void this.migrateRequest(response, args);
    else super.customRequest(command, response, args);
  }

  private async migrateRequest(response: DebugProtocol.Response, args: unknown): Promise<void> {
    try {
      const { node } = parseArguments(MigrateArguments, 'godwit.migrate', args);
      if (!this.debuggee || this.isEnding) throw notDebugging();
      response.body = await this.debuggee.migrate(node, wish());
      this.sendResponse(response);
    } catch (error) {
      this.refuse(response, error);
    }
  }

  private moved(move: MoveTold, report: MoveReport | undefined): void {
    const { freezeMs = 0, totalMs = 0 } = report ?? {};
    this.tellMove('godwit.moved', { ...move, freezeMs, totalMs });
    const frozen = report ? `, frozen ${Math.round(freezeMs)} ms` : '';
    this.sayOf(`Moved ${move.from} → ${move.to}${frozen}`);
  }

  private tellMove(event: string, move: MoveTold & { freezeMs?: number; totalMs?: number }): void {
    if (!this.isEnding) this.tell(new Event(event, { job: this.debuggee?.job.id, ...move }));
  }

  /** In the debug console alone: the editor shows a message where the move was asked for. */
  protected sayOf(text: string): void {
    if (!this.isEnding) this.say(text);
  }

  // ---- What is heard of it

  /** What is said of the job that there is now. What an earlier one has printed is shown to its end. */
  protected listening(): DebuggeeListener {
    const job = ++this.jobs;
    const heard = Object.entries(this.listener).map(([what, tell]) => [
      what,
      (...said: never[]) =>
        this.jobs === job || what === 'output' ? (tell as (...said: never[]) => unknown)(...said) : undefined,
    ]);
    return Object.fromEntries(heard);
  }

  private readonly listener: DebuggeeListener = {
    say: (text) => this.sayOf(text),
    output: (text) => this.output(text),
    moving: (move) => this.tellMove('godwit.moving', move),
    moved: (move, report) => this.moved(move, report),
    aborted: ({ from, to }, reason) => this.sayOf(`Not moved ${from} → ${to}: ${reason}`),
    child: (child) => this.child(child),
    lost: (reason) => this.endWith({ failure: jobLost(this.debuggee!.job.id, reason) }),
    ended: (exit) => this.afterLastWord(() => this.endWith({ exit })),
    lineClosed: (why) => this.afterLastWord(() => this.lineClosed(why)),
    agentGone: (failure) => this.endWith({ failure }),
  };
  /** gdb is about to say how the program has ended, if that is why. */
  private afterLastWord(work: () => unknown): void {
    const job = this.jobs;
    void sleep(LAST_WORD_MS).then(() => (this.jobs === job ? work() : undefined));
  }

  private async lineClosed(why: GodwitError | undefined): Promise<void> {
    if (this.isEnding || !this.debuggee) return;
    const exit = await this.debuggee.exit(LAST_WORD_MS);
    if (exit) this.endWith({ exit });
    else this.endWith({ failure: lineGone(why?.message ?? 'it was detached', this.debuggee.job.id) });
  }
}
