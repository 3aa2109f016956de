/** The requests about what stops a program besides breakpoints, and what it was. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import {
  breakpointFor,
  exceptionFilters,
  FILTERS,
  needsBreakpoint,
  signalCommands,
  type WantedFilter,
  wantedFilters,
} from '../breakpoints/exceptions';
import { quoted } from '../gdb/quoting';
import { EXCEPTIONS, type Stopped } from '../stops/stops';
import { BreakpointSession } from './breakpoint-session';

export abstract class ExceptionSession extends BreakpointSession {
  private filters: WantedFilter[] = [];
  private signalsTold = '';

  protected override capabilities(): DebugProtocol.Capabilities {
    return {
      ...super.capabilities(),
      exceptionBreakpointFilters: exceptionFilters(),
      supportsExceptionFilterOptions: true,
      supportsExceptionInfoRequest: true,
    };
  }

  protected override async setExceptionBreakPointsRequest(
    response: DebugProtocol.SetExceptionBreakpointsResponse,
    args: DebugProtocol.SetExceptionBreakpointsArguments,
  ): Promise<void> {
    const wanted = wantedFilters(args);
    const signals = signalCommands(wanted);
    const told = signals.join('\n');
    const needed = wanted.filter(needsBreakpoint);
    const settle = async () => {
      for (const command of signals)
        await this.gdb.sendCommand(`-interpreter-exec console ${quoted(command)}`);
      this.signalsTold = told;
    };
    this.filters = needed;
    await this.setBreakpoints(response, EXCEPTIONS, needed.map(breakpointFor), {
      first: told === this.signalsTold ? undefined : settle,
      // Each has its place in the answer, also those that need no breakpoint.
      answer: (placed) => wanted.map((one) => placed[needed.indexOf(one)] ?? { verified: true }),
    });
  }

  /** The filter that a stop is due to. */
  protected filterOf({ bkptno, reason }: Stopped): string | undefined {
    const at = bkptno === undefined ? -1 : (this.breakpoints?.indexIn(EXCEPTIONS, bkptno) ?? -1);
    if (at >= 0) return this.filters[at]?.filter;
    return reason === 'signal-received' ? 'signal' : undefined;
  }

  protected override caughtBy(stopped: Stopped): string | undefined {
    const filter = this.filterOf(stopped);
    return filter === undefined ? undefined : FILTERS[filter]?.words;
  }

  protected override async exceptionInfoRequest(
    response: DebugProtocol.ExceptionInfoResponse,
    { threadId }: DebugProtocol.ExceptionInfoArguments,
  ): Promise<void> {
    const stop = this.lastStop;
    const filter = stop && this.filterOf(stop);
    if (!stop || filter === undefined)
      return this.refuse(response, new Error('the program has not stopped for an exception'));
    const signal = stop['signal-name'];
    const thrown = signal
      ? null
      : await this.python.ask('thrown', { thread: threadId, filter }).catch(() => null);
    const what = FILTERS[filter]?.label ?? 'Signal';
    response.body = {
      exceptionId: signal ?? thrown?.type ?? what,
      description: stop['signal-meaning'] ?? thrown?.message ?? signal ?? what,
      breakMode: 'always',
      ...(thrown
        ? { details: { typeName: thrown.type, fullTypeName: thrown.type, message: thrown.message } }
        : {}),
    };
    this.sendResponse(response);
  }
}
