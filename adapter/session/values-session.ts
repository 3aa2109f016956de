/** The requests about values: frames and what is in them, expressions, memory. All but the last are asked of gdb's Python. */
import { Handles } from '@vscode/debugadapter';
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { FrameReference } from 'cdt-gdb-adapter/dist/types/session';
import { valuesRefused } from '../errors';
import type { At, Holder, MemoryRange, ScopeName } from '../gdb/contract';
import type { Python } from '../gdb/python';
import { assigns, calls, parseWanted, parseWatch } from '../values/expression';
import { asFrame, asResult, asSet, asVariable, totalOf } from '../values/shown';
import { StopSession } from './stop-session';

/** References below are scopes', given here; those of values are given by gdb's Python. */
const FIRST_VALUE = 1 << 20;
/** Where nothing may change by looking. */
const HARMLESS: ReadonlySet<string> = new Set(['hover', 'variables', 'clipboard']);
/** Bytes that are read for one answer: gdb answers nothing else meanwhile. */
const MAX_READ = 1024 * 1024;

/** Of one stop; a number never means something else at a later one. */
class OfAStop<T> extends Handles<T> {
  private held = new Map<number, T>();
  private next: number;

  constructor(first: number) {
    super(first);
    this.next = first;
  }

  override create(value: T): number {
    if (this.next === FIRST_VALUE) this.next = 1;
    this.held.set(this.next, value);
    return this.next++;
  }

  override get(handle: number, fallback?: T): T {
    return (this.held.get(handle) ?? fallback)!;
  }

  override reset(): void {
    this.held.clear();
  }
}

export abstract class ValuesSession extends StopSession {
  private readonly scopes = new OfAStop<Holder>(1);
  /** gdb's name for what the function returned that was just stepped out of. */
  private returned: string | undefined;

  constructor() {
    super();
    this.frameHandles = new OfAStop<FrameReference>(1000);
  }

  protected override capabilities(): DebugProtocol.Capabilities {
    return {
      ...super.capabilities(),
      supportsDelayedStackTraceLoading: true,
      supportsSetExpression: true,
      supportsClipboardContext: true,
      supportsValueFormattingOptions: true,
    };
  }

  /** What was read at the stop before is no longer so. */
  protected override forgetValues(returned: string | undefined): void {
    this.returned = returned;
    this.scopes.reset();
    this.frameHandles.reset();
  }

  /** @throws GodwitError where nothing can be asked */
  private get standing(): Python {
    if (!this.canRequestProceed()) throw valuesRefused('there is no program (any more)');
    if (this.isRunning) throw valuesRefused('the program runs');
    return this.python;
  }

  private async respond<R extends DebugProtocol.Response>(
    response: R,
    work: (python: Python) => Promise<R['body']>,
  ): Promise<void> {
    try {
      response.body = await work(this.standing);
      this.sendResponse(response);
    } catch (error) {
      // Shown where the value would be.
      const format = (error as Error).message;
      this.sendErrorResponse(response, { id: 1, format, showUser: false, variables: {} });
    }
  }

  // ---- Frames

  protected override stackTraceRequest(
    response: DebugProtocol.StackTraceResponse,
    { threadId, startFrame = 0, levels = 0, format }: DebugProtocol.StackTraceArguments,
  ): Promise<void> {
    return this.respond(response, async (python) => {
      const names = format?.parameters !== false;
      const found = await python.ask('frames', {
        thread: threadId,
        start: startFrame,
        count: levels,
        names,
        values: names && format?.parameterValues !== false,
      });
      const stackFrames = found.frames.map((frame) =>
        asFrame(frame, this.frameHandles.create({ threadId, frameId: frame.level })),
      );
      return { stackFrames, totalFrames: totalOf(found, startFrame + stackFrames.length) };
    });
  }

  /** @throws GodwitError for one of an earlier stop */
  private at(frameId: number): At {
    const frame = this.frameHandles.get(frameId);
    if (!frame) throw valuesRefused('this frame is one of an earlier stop');
    return { thread: frame.threadId, level: frame.frameId };
  }

  protected override scopesRequest(
    response: DebugProtocol.ScopesResponse,
    { frameId }: DebugProtocol.ScopesArguments,
  ): void {
    void this.respond(response, async () => {
      const at = this.at(frameId);
      const scope = (name: string, scope: ScopeName, presentationHint?: string): DebugProtocol.Scope => ({
        name,
        variablesReference: this.scopes.create({
          scope,
          at,
          ...(this.returned === undefined ? {} : { returned: this.returned }),
        }),
        expensive: scope !== 'locals',
        ...(presentationHint ? { presentationHint } : {}),
      });
      return {
        scopes: [
          scope('Local', 'locals', 'locals'),
          scope('Static', 'statics'),
          scope('Registers', 'registers', 'registers'),
        ],
      };
    });
  }

  // ---- Values

  /** @throws GodwitError for one of an earlier stop */
  private holder(reference: number): Holder {
    if (reference >= FIRST_VALUE) return { reference };
    const scope = this.scopes.get(reference);
    if (!scope) throw valuesRefused('this value was read at an earlier stop');
    return scope;
  }

  protected override variablesRequest(
    response: DebugProtocol.VariablesResponse,
    { variablesReference, start, count, filter, format }: DebugProtocol.VariablesArguments,
  ): Promise<void> {
    return this.respond(response, async (python) => {
      const { variables } = await python.ask('children', {
        ...this.holder(variablesReference),
        ...(filter ? { only: filter } : {}),
        // All of them are meant where no filter, or no count, is.
        ...(count ? { start: start ?? 0, count } : {}),
        ...(format?.hex ? { letter: 'x' } : {}),
      });
      return { variables: variables.map(asVariable) };
    });
  }

  protected override setVariableRequest(
    response: DebugProtocol.SetVariableResponse,
    { variablesReference, name, value }: DebugProtocol.SetVariableArguments,
  ): Promise<void> {
    return this.respond(response, async (python) => {
      const holder = this.holder(variablesReference);
      const set = await python.ask('assign', { ...holder, name, value: parseWanted(value) });
      this.invalidate();
      return asSet(set);
    });
  }

  protected override setExpressionRequest(
    response: DebugProtocol.SetExpressionResponse,
    { expression, value, frameId }: DebugProtocol.SetExpressionArguments,
  ): Promise<void> {
    return this.respond(response, async (python) => {
      const set = await python.ask('assign', {
        expression: parseWatch(expression).expression,
        ...this.from(frameId),
        value: parseWanted(value),
      });
      this.invalidate();
      return asSet(set);
    });
  }

  private from(frameId: number | undefined): { at?: At } {
    return frameId === undefined ? {} : { at: this.at(frameId) };
  }

  protected override evaluateRequest(
    response: DebugProtocol.EvaluateResponse,
    args: DebugProtocol.EvaluateArguments,
  ): Promise<void> {
    const { expression, context = 'watch', frameId, format } = args;
    if (context === 'repl' && expression.trim().startsWith('>')) return super.evaluateRequest(response, args);
    return this.respond(response, async (python) => {
      const { expression: said, letter, ...watch } = parseWatch(expression);
      const harmless = HARMLESS.has(context);
      if (harmless && assigns(said)) throw new Error('it would change the program');
      const shown = letter ?? (format?.hex ? 'x' : undefined);
      const value = await python.ask('evaluate', {
        expression: said,
        ...watch,
        ...(shown ? { letter: shown } : {}),
        ...this.from(frameId),
        harmless,
        whole: context === 'clipboard',
      });
      if (context === 'repl' && (assigns(said) || calls(said))) this.invalidate();
      return asResult(value);
    });
  }

  /** Where a variable is in memory. @throws Error where it is in none */
  protected async placeOf(
    name: string,
    reference: number | undefined,
    frameId: number | undefined,
  ): Promise<MemoryRange> {
    const python = this.standing;
    if (reference) return python.ask('place', { ...this.holder(reference), name });
    return python.ask('place', { name, ...this.from(frameId) });
  }

  // ---- Memory

  protected override readMemoryRequest(
    response: DebugProtocol.ReadMemoryResponse,
    { memoryReference, offset = 0, count }: DebugProtocol.ReadMemoryArguments,
  ): Promise<void> {
    return this.respond(response, async () => {
      const address = addressOf(memoryReference, offset);
      if (count <= 0) return { address };
      const wanted = Math.min(count, MAX_READ);
      const read = await this.gdb
        .sendCommand<{ memory: { offset: string; contents: string }[] }>(
          `-data-read-memory-bytes ${address} ${wanted}`,
        )
        .catch(() => ({ memory: [] }));
      // What can be read may begin behind what can't.
      const first = read.memory.find((block) => BigInt(block.offset) === 0n);
      const data = Buffer.from(first?.contents ?? '', 'hex');
      const unreadableBytes = wanted - data.length;
      return { address, data: data.toString('base64'), ...(unreadableBytes > 0 ? { unreadableBytes } : {}) };
    });
  }

  protected override writeMemoryRequest(
    response: DebugProtocol.WriteMemoryResponse,
    { memoryReference, offset = 0, data }: DebugProtocol.WriteMemoryArguments,
  ): Promise<void> {
    return this.respond(response, async () => {
      const bytes = Buffer.from(data, 'base64');
      if (bytes.length === 0) return { bytesWritten: 0 };
      const address = addressOf(memoryReference, offset);
      await this.gdb.sendCommand(`-data-write-memory-bytes ${address} ${bytes.toString('hex')}`);
      this.tellWritten(memoryReference, offset, bytes.length);
      return { bytesWritten: bytes.length };
    });
  }
}

/** @throws Error where it is no number: the same words mean something else in each frame */
function addressOf(reference: string, offset: number): string {
  if (!/^(0x[0-9a-f]{1,16}|\d{1,20})$/i.test(reference)) throw new Error(`${reference} is no address`);
  return `0x${BigInt.asUintN(64, BigInt(reference) + BigInt(offset)).toString(16)}`;
}
