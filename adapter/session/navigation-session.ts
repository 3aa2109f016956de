/** The requests about places in the program: lines with code, where to go, what to step into, what is loaded, what to type. */
import { basename } from 'node:path';
import { Event } from '@vscode/debugadapter';
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { MIBreakpointInfo } from 'cdt-gdb-adapter/dist/mi';
import type { Call } from '../gdb/contract';
import { quoted } from '../gdb/quoting';
import type { Stopped } from '../stops/stops';
import { ExceptionSession } from './exception-session';
import { moduleAt } from './modules';

/** As MI tells of it. */
interface Library {
  id: string;
  'symbols-loaded': string;
  ranges?: { from: string; to: string }[];
}
/** Of a line of a command's that is completed: where its last word begins. */
const WORD = /[^\s()[\]{}.,;:+\-*/%&|^!~<>=?"']*$/;

export abstract class NavigationSession extends ExceptionSession {
  /** What the client may name by number, from one stop to the next. */
  private readonly places: { address: string }[] = [];
  private calls: Call[] = [];
  /** gdb's number for the breakpoint at the function that is stepped into. */
  private target: string | undefined;

  protected override capabilities(): DebugProtocol.Capabilities {
    return {
      ...super.capabilities(),
      supportsBreakpointLocationsRequest: true,
      supportsCompletionsRequest: true,
      completionTriggerCharacters: ['.', '>', ':'],
      supportsGotoTargetsRequest: true,
      supportsLoadedSourcesRequest: true,
      supportsModulesRequest: true,
      supportsStepInTargetsRequest: true,
      supportsDataBreakpointBytes: true,
    };
  }

  protected override customRequest(command: string, response: DebugProtocol.Response, args: unknown): void {
    if (command === 'modules') void this.modulesRequest(response as DebugProtocol.ModulesResponse, args);
    else super.customRequest(command, response, args);
  }

  /** gdb is asked while the program is stopped. */
  private async answer<R extends DebugProtocol.Response>(
    response: R,
    body: () => Promise<R['body']>,
  ): Promise<void> {
    try {
      if (!this.canRequestProceed() || this.isRunning) throw new Error('the program runs');
      response.body = await body();
      this.sendResponse(response);
    } catch (error) {
      this.refuse(response, error);
    }
  }

  protected override breakpointLocationsRequest(
    response: DebugProtocol.BreakpointLocationsResponse,
    { source, line, endLine = line }: DebugProtocol.BreakpointLocationsArguments,
  ): Promise<void> {
    return this.answer(response, async () => {
      const path = source.path ?? source.name ?? '';
      const lines = await this.python.ask('lines_with_code', { path, first: line, last: endLine });
      return { breakpoints: lines.map((line) => ({ line })) };
    });
  }

  protected override completionsRequest(
    response: DebugProtocol.CompletionsResponse,
    { text, column, frameId }: DebugProtocol.CompletionsArguments,
  ): Promise<void> {
    return this.answer(response, async () => {
      const before = text.slice(0, column - 1);
      const isCommand = before.trimStart().startsWith('>');
      const shown = before.length - before.trimStart().length + (isCommand ? 1 : 0);
      const typed = before.slice(shown);
      // An expression is completed as that of a command which takes one.
      const prefix = isCommand ? '' : 'print ';
      const frame = frameId === undefined ? undefined : this.frameHandles.get(frameId);
      const where = frame ? { at: { thread: frame.threadId, level: frame.frameId } } : {};
      const found = await this.python.ask('complete', { text: prefix + typed.trimStart(), ...where });
      const length = WORD.exec(typed)![0].length;
      const kept = (prefix + typed.trimStart()).length - length;
      const targets = found.map((line) => ({
        label: line.slice(kept),
        start: before.length - length,
        length,
      }));
      return { targets: targets.filter(({ label }) => label !== '') };
    });
  }

  protected modulesRequest(response: DebugProtocol.ModulesResponse, args: unknown): Promise<void> {
    return this.answer(response, async () => {
      const { startModule = 0, moduleCount = 0 } = (args ?? {}) as DebugProtocol.ModulesArguments;
      const modules = [...this.program(), ...(await this.libraries())];
      const end = moduleCount > 0 ? startModule + moduleCount : undefined;
      return { modules: modules.slice(startModule, end), totalModules: modules.length };
    });
  }

  // biome-ignore lint/suspicious/noExplicitAny: as it is declared
  protected override handleGDBNotify(notification: string, data: any): void {
    if (notification === 'library-loaded') this.libraryChanged('new', data);
    else if (notification === 'library-unloaded') this.libraryChanged('removed', data);
    else super.handleGDBNotify(notification, data);
  }

  private libraryChanged(reason: string, { id }: { id?: string }): void {
    // They are read a moment later.
    const { symbolStatus: _, ...module } = moduleAt(id ?? '', true);
    if (this.canRequestProceed()) this.tell(new Event('module', { reason, module }));
  }

  /** The program itself, which gdb does not list. */
  private program(): DebugProtocol.Module[] {
    const { program, withoutSymbols } = this.gdbOutput;
    return program === undefined ? [] : [moduleAt(program, withoutSymbols === undefined)];
  }

  private async libraries(): Promise<DebugProtocol.Module[]> {
    const { 'shared-libraries': all } = await this.gdb.sendCommand<{ 'shared-libraries': Library[] }>(
      '-file-list-shared-libraries',
    );
    return all.map(({ id, 'symbols-loaded': loaded, ranges }) => ({
      ...moduleAt(id, loaded === '1'),
      ...(ranges?.[0] ? { addressRange: `${ranges[0].from}-${ranges[0].to}` } : {}),
    }));
  }

  protected override loadedSourcesRequest(response: DebugProtocol.LoadedSourcesResponse): Promise<void> {
    return this.answer(response, async () => {
      const { files } = await this.gdb.sendCommand<{ files: { fullname?: string }[] }>(
        '-file-list-exec-source-files',
      );
      const paths = new Set(files.flatMap(({ fullname }) => fullname ?? []));
      return { sources: [...paths].sort().map((path) => ({ name: basename(path), path })) };
    });
  }

  // ---- Going to a line

  protected override gotoTargetsRequest(
    response: DebugProtocol.GotoTargetsResponse,
    { source, line }: DebugProtocol.GotoTargetsArguments,
  ): Promise<void> {
    return this.answer(response, async () => {
      const path = source.path ?? source.name ?? '';
      const found = await this.python.ask('addresses_of_line', { path, line });
      const targets = (found?.at ?? []).map(({ function: name, address }) => {
        const id = this.places.push({ address });
        return {
          id,
          label: `${name}, line ${found!.line}`,
          line: found!.line,
          instructionPointerReference: address,
        };
      });
      return { targets };
    });
  }

  protected override gotoRequest(
    response: DebugProtocol.GotoResponse,
    { threadId, targetId }: DebugProtocol.GotoArguments,
  ): Promise<void> {
    return this.answer(response, async () => {
      const place = this.places[targetId - 1];
      if (!place) throw new Error('that location is of an earlier stop');
      await this.python.ask('go_to', { thread: threadId, address: place.address });
      setImmediate(() => this.stopped({ 'thread-id': String(threadId) }, { reason: 'goto' }));
      return {};
    });
  }

  // ---- Stepping into one of a line's calls

  protected override stepInTargetsRequest(
    response: DebugProtocol.StepInTargetsResponse,
    { frameId }: DebugProtocol.StepInTargetsArguments,
  ): Promise<void> {
    return this.answer(response, async () => {
      const frame = this.frameHandles.get(frameId);
      if (!frame) throw new Error('that frame is of an earlier stop');
      const at = { thread: frame.threadId, level: frame.frameId };
      this.calls = await this.python.ask('calls_of_line', { at });
      return { targets: this.calls.map(({ function: name }, id) => ({ id, label: name })) };
    });
  }

  /** A step over the line, which ends where the function begins. */
  protected override async stepInRequest(
    response: DebugProtocol.StepInResponse,
    args: DebugProtocol.StepInArguments,
  ): Promise<void> {
    const call = args.targetId === undefined ? undefined : this.calls[args.targetId];
    if (!call || !this.canRequestProceed()) return super.stepInRequest(response, args);
    try {
      const at = `--source ${quoted(call.path)} --function ${quoted(call.function)}`;
      const { bkpt } = await this.gdb.sendCommand<{ bkpt: MIBreakpointInfo | MIBreakpointInfo[] }>(
        `-break-insert -t -p ${args.threadId} ${at}`,
      );
      this.target = (Array.isArray(bkpt) ? bkpt[0]! : bkpt).number;
    } catch (error) {
      return this.refuse(response, error);
    }
    await super.nextRequest(response, args);
  }

  protected override handleGDBStopped(stopped: Stopped): void {
    this.places.length = 0;
    const { target } = this;
    this.target = undefined;
    const isTarget = target !== undefined && stopped.bkptno === target;
    if (target !== undefined && !isTarget) this.gdb.sendCommand(`-break-delete ${target}`).catch(() => {});
    super.handleGDBStopped(isTarget ? { ...stopped, reason: 'end-stepping-range' } : stopped);
  }
}
