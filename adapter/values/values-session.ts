/** The requests about values: frames and what is in them, expressions, memory. All but the last are asked of gdb's Python. */
import { Handles, InvalidatedEvent, MemoryEvent } from '@vscode/debugadapter';
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { FrameReference } from 'cdt-gdb-adapter/dist/types/session';
import { gdbFailed, valuesRefused } from '../errors';
import { type GdbOptions, GdbSession } from '../gdb-session';
import type { At, Holder, Place, ScopeName } from './contract';
import { assigns, calls, parseWanted, parseWatch } from './expression';
import { asFrame, asResult, asSet, asVariable, totalOf } from './shown';
import { Values } from './values';

/** References below are scopes', given here; those of values are given by gdb's Python. */
const FIRST_VALUE = 1 << 20;
/** Where nothing may change by looking. */
const HARMLESS: ReadonlySet<string> = new Set(['hover', 'variables', 'clipboard']);
/** Bytes that are read for one answer: gdb answers nobody else meanwhile. */
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

export abstract class ValuesSession extends GdbSession {
  private values: Values | undefined;
  private readonly scopes = new OfAStop<Holder>(1);
  /** gdb's name for what the function returned that was just stepped out of. */
  private returned: string | undefined;
  /** A person's command is under way. */
  private commanded = false;
  /** What the editor wants to hear of. */
  private hearsOf = { values: false, memory: false };

  constructor() {
    super();
    this.frameHandles = new OfAStop<FrameReference>(1000);
  }

  protected override initializeRequest(
    response: DebugProtocol.InitializeResponse,
    args: DebugProtocol.InitializeRequestArguments,
  ): void {
    const { supportsInvalidatedEvent: values = false, supportsMemoryEvent: memory = false } = args;
    this.hearsOf = { values, memory };
    response.body = {
      ...response.body,
      supportsDelayedStackTraceLoading: true,
      supportsSetExpression: true,
      supportsClipboardContext: true,
      supportsValueFormattingOptions: true,
    };
    super.initializeRequest(response, args);
  }

  protected override async connectGdb(socket: string, options: GdbOptions): Promise<void> {
    await super.connectGdb(socket, options);
    await this.asked.ask('known', {}).catch(() => {
      throw gdbFailed('it is older than gdb 12, or was built without Python');
    });
  }

  /** What was read at the stop before is no longer so. */
  protected override forgetValues(returned: string | undefined): void {
    this.returned = returned;
    this.values ??= new Values(this.gdb);
    this.values.stopped();
    this.scopes.reset();
    this.frameHandles.reset();
  }

  /** @throws GodwitError where nothing can be asked */
  private get asked(): Values {
    if (!this.canRequestProceed()) throw valuesRefused('there is no program (any more)');
    if (this.isRunning) throw valuesRefused('the program runs');
    this.values ??= new Values(this.gdb);
    return this.values;
  }

  private async respond<R extends DebugProtocol.Response>(
    response: R,
    work: (values: Values) => Promise<R['body']>,
  ): Promise<void> {
    try {
      response.body = await work(this.asked);
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
    return this.respond(response, async (values) => {
      const names = format?.parameters !== false;
      const found = await values.ask('frames', {
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
    return this.respond(response, async (values) => {
      const { variables } = await values.ask('children', {
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
    return this.respond(response, async (values) => {
      const holder = this.holder(variablesReference);
      const set = await values.ask('assign', { ...holder, name, value: parseWanted(value) });
      this.changed();
      return asSet(set);
    });
  }

  protected override setExpressionRequest(
    response: DebugProtocol.SetExpressionResponse,
    { expression, value, frameId }: DebugProtocol.SetExpressionArguments,
  ): Promise<void> {
    return this.respond(response, async (values) => {
      const set = await values.ask('assign', {
        expression: parseWatch(expression).expression,
        ...this.from(frameId),
        value: parseWanted(value),
      });
      this.changed();
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
    if (context === 'repl' && expression.trim().startsWith('>')) return this.commandRequest(response, args);
    return this.respond(response, async (values) => {
      const { expression: said, letter, ...watch } = parseWatch(expression);
      const harmless = HARMLESS.has(context);
      if (harmless && assigns(said)) throw new Error('it would change the program');
      const shown = letter ?? (format?.hex ? 'x' : undefined);
      const value = await values.ask('evaluate', {
        expression: said,
        ...watch,
        ...(shown ? { letter: shown } : {}),
        ...this.from(frameId),
        harmless,
        whole: context === 'clipboard',
      });
      if (context === 'repl' && (assigns(said) || calls(said))) this.changed();
      return asResult(value);
    });
  }

  /** A command of gdb's: it may change anything. */
  private async commandRequest(
    response: DebugProtocol.EvaluateResponse,
    args: DebugProtocol.EvaluateArguments,
  ): Promise<void> {
    this.commanded = true;
    await super.evaluateRequest(response, args);
    this.commanded = false;
    // gdb does not tell of registers.
    if (args.expression.includes('=')) this.changed();
  }

  /** What a person's command has written is told; the rest is this session's own doing. */
  protected override memoryChanged(written: { addr: string; len: string }): void {
    if (this.commanded) super.memoryChanged(written);
  }

  /** Where a variable is in memory. @throws Error where it is in none */
  protected async placeOf(
    name: string,
    reference: number | undefined,
    frameId: number | undefined,
  ): Promise<Place> {
    const values = this.asked;
    if (reference) return values.ask('place', { ...this.holder(reference), name });
    return values.ask('place', { name, ...this.from(frameId) });
  }

  /** Other views may show what was written to. */
  private changed(): void {
    if (this.hearsOf.values) this.tell(new InvalidatedEvent(['variables']));
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
      if (this.hearsOf.memory) this.tell(new MemoryEvent(memoryReference, offset, bytes.length));
      this.changed();
      return { bytesWritten: bytes.length };
    });
  }
}

/** @throws Error where it is no number: the same words mean something else in each frame */
function addressOf(reference: string, offset: number): string {
  if (!/^(0x[0-9a-f]{1,16}|\d{1,20})$/i.test(reference)) throw new Error(`${reference} is no address`);
  return `0x${BigInt.asUintN(64, BigInt(reference) + BigInt(offset)).toString(16)}`;
}
