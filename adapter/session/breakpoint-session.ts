/** The requests about breakpoints. They have places, conditions, counts of hits and messages to log in common. */
import { Event } from '@vscode/debugadapter';
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { MIBreakpointInfo } from 'cdt-gdb-adapter/dist/mi';
import { Breakpoints, type Wanted } from '../breakpoints/breakpoints';
import { DATA, FUNCTIONS, INSTRUCTIONS } from '../stops/stops';
import { ValuesSession } from './values-session';

/** What the debug registers of a processor can watch at most: four times eight bytes. */
const MAX_WATCHED_BYTES = 32;

const NOTHING_RUNS = 'the program has ended: nothing stops there any more';

interface Placing {
  /** Is done before, while the program is stopped. */
  first?: (() => Promise<void>) | undefined;
  /** What the client hears. */
  answer?: (placed: DebugProtocol.Breakpoint[]) => DebugProtocol.Breakpoint[];
}

export abstract class BreakpointSession extends ValuesSession {
  protected breakpoints: Breakpoints | undefined;
  /** The client knows that children are not debugged, or they are. */
  protected forkTold = false;
  /** Settles when the requests before are done. */
  private before: Promise<void> = Promise.resolve();

  protected override async connectGdb(socket: string): Promise<void> {
    await super.connectGdb(socket);
    this.breakpoints = new Breakpoints(this.ownGdb);
    this.gdbOutput.forked = (child) => this.forked(child);
  }

  /** The program has begun anew. */
  protected async breakpointsAnew(): Promise<void> {
    const dropped = (await this.breakpoints?.again([DATA, INSTRUCTIONS])) ?? [];
    for (const breakpoint of dropped) this.tell(new Event('breakpoint', { reason: 'removed', breakpoint }));
  }

  /** Children of a fork go their own way; what was set for the program is in none of them. */
  private forked(child: number): void {
    if (this.forkTold || !this.breakpoints?.any) return;
    this.forkTold = true;
    this.say(
      `The program has forked. Breakpoints are not hit in process ${child} or in others that it forks, which are not debugged by this session; attach to one by its number inside the job ("process": ${child}).`,
      'important',
    );
  }

  protected override groupOf(number: string): string | undefined {
    return this.breakpoints?.groupOf(number);
  }

  protected override setBreakPointsRequest(
    response: DebugProtocol.SetBreakpointsResponse,
    { source, breakpoints = [] }: DebugProtocol.SetBreakpointsArguments,
  ): Promise<void> {
    const path = source.path ?? source.name ?? '';
    const wanted = breakpoints.map(({ line, condition, hitCondition, logMessage, mode }) => ({
      at: { path, line },
      condition,
      hitCondition,
      logMessage,
      hardware: mode === 'hardware',
    }));
    return this.setBreakpoints(response, `file ${path}`, wanted);
  }

  protected override setFunctionBreakPointsRequest(
    response: DebugProtocol.SetFunctionBreakpointsResponse,
    { breakpoints }: DebugProtocol.SetFunctionBreakpointsArguments,
  ): Promise<void> {
    const wanted = breakpoints.map(({ name, condition, hitCondition }) => ({
      at: { function: name },
      condition,
      hitCondition,
    }));
    return this.setBreakpoints(response, FUNCTIONS, wanted);
  }

  protected override setInstructionBreakpointsRequest(
    response: DebugProtocol.SetInstructionBreakpointsResponse,
    { breakpoints }: DebugProtocol.SetInstructionBreakpointsArguments,
  ): Promise<void> {
    const wanted = breakpoints.map(({ instructionReference, offset = 0, condition, hitCondition }) => ({
      at: { address: `0x${(BigInt(instructionReference) + BigInt(offset)).toString(16)}` },
      condition,
      hitCondition,
    }));
    return this.setBreakpoints(response, INSTRUCTIONS, wanted);
  }

  protected override setDataBreakpointsRequest(
    response: DebugProtocol.SetDataBreakpointsResponse,
    { breakpoints }: DebugProtocol.SetDataBreakpointsArguments,
  ): Promise<void> {
    const wanted = breakpoints.map(({ dataId, accessType = 'write', condition, hitCondition }) => ({
      at: { watched: dataId, access: accessType },
      condition,
      hitCondition,
    }));
    return this.setBreakpoints(response, DATA, wanted);
  }

  protected setBreakpoints(
    response: DebugProtocol.Response,
    group: string,
    wanted: Wanted[],
    more: Placing = {},
  ): Promise<void> {
    return this.inTurn(() => this.placeAll(response, group, wanted, more));
  }

  /** The program is stopped for it where it runs. */
  private async placeAll(
    response: DebugProtocol.Response,
    group: string,
    wanted: Wanted[],
    { first, answer = (placed) => placed }: Placing,
  ): Promise<void> {
    response.body = { breakpoints: answer([]) };
    const { breakpoints } = this;
    if (!breakpoints && this.canRequestProceed())
      response.body = { breakpoints: wanted.map(() => ({ verified: false, message: NOTHING_RUNS })) };
    const nothing = wanted.length === 0 && !breakpoints?.has(group) && !first;
    if (nothing || !breakpoints || !this.canRequestProceed()) return this.sendResponse(response);
    await this.pauseIfNeeded();
    try {
      await first?.();
      response.body = { breakpoints: answer(await breakpoints.set(group, wanted)) };
      this.sendResponse(response);
    } catch (error) {
      this.refuse(response, error);
    } finally {
      await this.continueIfNeeded().catch((error: Error) => this.say(error.message, 'stderr'));
    }
  }

  protected override continueRequest(
    response: DebugProtocol.ContinueResponse,
    args: DebugProtocol.ContinueArguments,
  ): Promise<void> {
    return this.inTurn(async () => {
      if (this.canRequestProceed()) await this.chooseThreads(args);
      await super.continueRequest(response, args);
    });
  }

  protected override nextRequest(
    response: DebugProtocol.NextResponse,
    args: DebugProtocol.NextArguments,
  ): Promise<void> {
    return this.inTurn(() => super.nextRequest(response, args));
  }

  protected override stepInRequest(
    response: DebugProtocol.StepInResponse,
    args: DebugProtocol.StepInArguments,
  ): Promise<void> {
    return this.inTurn(() => super.stepInRequest(response, args));
  }

  protected override stepOutRequest(
    response: DebugProtocol.StepOutResponse,
    args: DebugProtocol.StepOutArguments,
  ): Promise<void> {
    return this.inTurn(() => super.stepOutRequest(response, args));
  }

  /**
   * Breakpoints are set while the program is stopped, by several commands; clients continue without waiting for them.
   */
  private inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.before.then(work);
    this.before = done.catch(() => {});
    return done;
  }

  protected override async dataBreakpointInfoRequest(
    response: DebugProtocol.DataBreakpointInfoResponse,
    { name, variablesReference, frameId, asAddress, bytes }: DebugProtocol.DataBreakpointInfoArguments,
  ): Promise<void> {
    response.body = { dataId: null, description: `${name} can't be watched` };
    try {
      const dataId = asAddress
        ? memoryAt(BigInt(name), bytes ?? 1)
        : await this.watchable(name, variablesReference, frameId, bytes);
      response.body = { dataId, description: name, accessTypes: ['write', 'readWrite', 'read'] };
    } catch (error) {
      response.body.description = `${name} can't be watched: ${(error as Error).message}`;
    }
    this.sendResponse(response);
  }

  /** An expression for the memory that a variable has now: its name means something else in another frame. */
  private async watchable(
    name: string,
    reference: number | undefined,
    frameId: number | undefined,
    bytes: number | undefined,
  ): Promise<string> {
    const { size, address } = await this.placeOf(name, reference, frameId);
    return memoryAt(BigInt(address), bytes ?? size);
  }

  // biome-ignore lint/suspicious/noExplicitAny: as it is declared
  protected override handleGDBNotify(notification: string, data: any): void {
    if (notification.startsWith('breakpoint-')) this.breakpointChanged(notification, data);
    else super.handleGDBNotify(notification, data);
  }

  private breakpointChanged(
    notification: string,
    { bkpt, id }: { bkpt?: MIBreakpointInfo; id?: string },
  ): void {
    const removed = notification === 'breakpoint-deleted';
    const breakpoint = removed ? this.breakpoints?.deleted(String(id)) : this.breakpoints?.changed(bkpt!);
    if (breakpoint)
      this.tell(new Event('breakpoint', { reason: removed ? 'removed' : 'changed', breakpoint }));
  }
}

/** An expression for so much memory. @throws Error where that is more than can be watched */
function memoryAt(at: bigint, size: number): string {
  if (size > MAX_WATCHED_BYTES) throw new Error(`it has ${size} bytes, ${MAX_WATCHED_BYTES} is the most`);
  const address = `0x${BigInt.asUintN(64, at).toString(16)}`;
  const type = { 1: 'char', 2: 'short', 4: 'int', 8: 'long' }[size];
  return type ? `*(${type} *) ${address}` : `*(char (*)[${size}]) ${address}`;
}
