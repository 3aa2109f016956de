/**
 * A step that may be interrupted, because a breakpoint is set while it is under way: gdb can only do that while the
 * program has stopped, and knows nothing of the step afterwards. It is then carried to its end in two parts: out of what
 * was called meanwhile, and on to the next line.
 */
import type { Gdb } from '../gdb/gdb';
import type { Stopped } from './stops';

export type StepCommand = '-exec-next' | '-exec-step' | '-exec-finish';

export class InterruptedStep {
  /** What was called meanwhile is being left. */
  private leaving = false;

  private constructor(
    private readonly gdb: Gdb,
    private readonly command: StepCommand,
    private readonly thread: number,
  ) {}

  /** The program is stopped. gdb gets the command before the step; its answer is not awaited. */
  static begin(gdb: Gdb, command: StepCommand, thread: number): InterruptedStep {
    // Where it can't say what it is in, there is nothing to come back to: then a step is taken from the top.
    gdb.python.ask('remember_step', { thread }).catch(() => {});
    return new InterruptedStep(gdb, command, thread);
  }

  /** Goes on with it. The program is stopped somewhere in the middle. */
  async resume(): Promise<void> {
    const above = await this.gdb.python.ask('frames_above_step', { thread: this.thread });
    if (this.command === '-exec-finish') return this.finish(above);
    if (above <= 0) return this.again();
    this.leaving = true;
    await this.finish(above - 1);
  }

  /** Was this stop only half of the way? Then it goes on. */
  goesOnAfter({ reason }: Stopped): boolean {
    const half = this.leaving && reason === 'function-finished';
    this.leaving = false;
    if (half) this.again().catch(() => {});
    return half;
  }

  private async again(): Promise<void> {
    await this.gdb.sendCommand(`${this.command} --thread ${this.thread}`);
  }

  /** Until the frame at this level, from 0, has returned. */
  private async finish(level: number): Promise<void> {
    await this.gdb.sendCommand(`-exec-finish --thread ${this.thread} --frame ${Math.max(0, level)}`);
  }
}
