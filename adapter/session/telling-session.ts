/** What the client gets: this session's own messages, what is of use in gdb's output, refusals, and what has changed. */
import { type ErrorDestination, Event, OutputEvent, Response } from '@vscode/debugadapter';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { GDBTargetDebugSession } from 'cdt-gdb-adapter/dist/desktop/GDBTargetDebugSession';
import type { IGDBBackend } from 'cdt-gdb-adapter/dist/types/gdb';
import type { FrameReference } from 'cdt-gdb-adapter/dist/types/session';
import { asGodwitError } from '../../agent/api/errors';
import { plain } from '../../agent/api/plain';
import { GIVEN_UP, Requests } from '../gdb/given-up';
import { GdbOutputFilter } from '../gdb/output-filter';
import { isRefused, notSupported } from './refusals';

/** What gdb says by itself and cdt-gdb-adapter knows; all else is of no use here. */
const KNOWN_NOTES: ReadonlySet<string> = new Set(['thread-created', 'thread-exited']);

/** All that gdb answers after an assertion of its own did not hold. */
const ABORTED = 'Command aborted.';
const explained = (text: string) =>
  text === ABORTED ? 'gdb met an error of its own and gave up what was asked; the session goes on' : text;

export abstract class TellingSession extends GDBTargetDebugSession {
  protected readonly gdbOutput = new GdbOutputFilter();
  private readonly requests = new Requests();
  /** The client's capabilities. */
  private client: DebugProtocol.InitializeRequestArguments | undefined;

  /** What an editor may ask beyond what cdt-gdb-adapter offers; each layer adds what it answers. */
  protected capabilities(): DebugProtocol.Capabilities {
    return { supportsCancelRequest: true };
  }

  protected override initializeRequest(
    response: DebugProtocol.InitializeResponse,
    args: DebugProtocol.InitializeRequestArguments,
  ): void {
    this.client = args;
    response.body = this.capabilities();
    super.initializeRequest(response, args);
  }

  /** Can the client begin a session for a child? */
  protected get canStartDebugging(): boolean {
    return (
      (this.client as { supportsStartDebuggingRequest?: boolean })?.supportsStartDebuggingRequest === true
    );
  }

  // ---- Events

  /** All that cdt-gdb-adapter says passes here; what this session says itself does not. */
  override sendEvent(event: DebugProtocol.Event): void {
    // The session reports the end, with the exit code, once.
    if (event.event === 'terminated' || event.event === 'exited') return;
    if (event.event === 'output') this.pass(event.body as DebugProtocol.OutputEvent['body']);
    else super.sendEvent(event);
  }

  private pass({ output, category = 'console' }: DebugProtocol.OutputEvent['body']): void {
    const shown = this.gdbOutput.take(output, category);
    if (shown !== undefined) super.sendEvent(new OutputEvent(shown, 'console'));
  }

  /** Past the filter for what cdt-gdb-adapter says. */
  protected tell(event: DebugProtocol.Event): void {
    super.sendEvent(event);
  }

  /** One line of the session's own. The editor makes a message of what is important. */
  protected say(text: string, category: 'console' | 'important' | 'stderr' = 'console'): void {
    this.tell(new OutputEvent(`${plain(text)}\n`, category));
  }

  // ---- What has changed

  // biome-ignore lint/suspicious/noExplicitAny: as it is declared
  protected override handleGDBNotify(notification: string, data: any): void {
    if (notification === 'memory-changed') this.memoryChanged(data);
    else if (KNOWN_NOTES.has(notification)) super.handleGDBNotify(notification, data);
  }

  /** What a person's command has written is reported; the rest is this session's own doing. */
  private memoryChanged({ addr, len }: { addr: string; len: string }): void {
    if (this.gdbOutput.isAnswering) this.tellWritten(addr, 0, Number(len));
  }

  protected tellWritten(memoryReference: string, offset: number, count: number): void {
    if (this.client?.supportsMemoryEvent) this.tell(new Event('memory', { memoryReference, offset, count }));
    this.invalidate();
  }

  /** Other views may show what was written to. */
  protected invalidate(): void {
    if (this.client?.supportsInvalidatedEvent) this.tell(new Event('invalidated', { areas: ['variables'] }));
  }

  /** A command that a person typed: its answer is shown. */
  protected override async sendCommandToGdb(
    gdb: IGDBBackend,
    command: string,
    frame: FrameReference | undefined,
  ): Promise<void> {
    await this.gdbOutput.during(() => super.sendCommandToGdb(gdb, command, frame));
    // It may have set a register, which gdb does not report.
    if (this.canRequestProceed() && !this.isRunning) this.invalidate();
  }

  // ---- Refusals

  /** What is not done is refused: cdt-gdb-adapter's base would answer that it was. */
  protected override dispatchRequest(request: DebugProtocol.Request): void {
    if (isRefused(request.command)) this.refuse(new Response(request), notSupported(request.command));
    else this.requests.begin(request.seq, () => super.dispatchRequest(request));
  }

  /** What is asked of gdb's Python, and a move. All else is over at once, or is ended by a pause. */
  protected override cancelRequest(
    response: DebugProtocol.CancelResponse,
    { requestId }: DebugProtocol.CancelArguments,
  ): void {
    if (requestId !== undefined) this.requests.giveUp(requestId);
    this.sendResponse(response);
  }

  override sendResponse(response: DebugProtocol.Response): void {
    this.requests.end(response.request_seq);
    super.sendResponse(response);
  }

  /** An error as the editor shows it: one line with what, why and what to do. */
  protected refuse(response: DebugProtocol.Response, error: unknown): void {
    const why = asGodwitError(error);
    const variables = { code: why.code, ...(why.fix ? { fix: why.fix } : {}) };
    this.sendErrorResponse(response, { id: 1, format: why.toLine(), showUser: true, variables });
  }

  /** Of gdb's refusals, too, the editor makes messages. */
  protected override sendErrorResponse(
    response: DebugProtocol.Response,
    error: number | DebugProtocol.Message,
    format = '',
    variables?: unknown,
    destination?: ErrorDestination,
  ): void {
    const line = (text: string) => plain(explained(text.trim().replace(/\s*\n\s*/g, ' ')));
    if (this.requests.isGivenUp(response.request_seq)) {
      super.sendErrorResponse(response, { id: 1, format: GIVEN_UP, showUser: false });
      return;
    }
    const told = typeof error === 'number' ? error : { ...error, format: line(error.format) };
    super.sendErrorResponse(response, told, line(format), variables, destination);
  }
}
