/** How a copy ended, and what ended it. */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { asGodwitError } from '../../api/errors';
import { size } from '../../api/figures';
import type { Exit } from '../../api/model';
import { parseJson, parseWith } from '../../api/schema';
import type { KeeperContract } from '../../keeper/contract';
import { End, readSupervision } from '../../keeper/supervision';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { JobAccount } from '../../machine/cgroup/limits';
import type { NodeMemory } from '../../machine/cgroup/node-memory';
import type { Link } from '../../wire/link';
import { type Copy, exitOf } from './copy';

/** How often a supervisor that the keeper does not know is looked for through its report. */
const REPORT_POLL_MS = 500;
/** Signals by which processes end in which CRIU or a debugger was interrupted; people don't send these. */
const CRASHES = ['SIGSEGV', 'SIGILL', 'SIGBUS', 'SIGFPE', 'SIGSYS', 'SIGTRAP'];

interface Ended {
  end: End;
  /** The keeper that had started its supervisor was gone. */
  orphaned: boolean;
}

export class Ending {
  constructor(
    private readonly node: { keeper: Link<KeeperContract>; memory: Pick<NodeMemory, 'words'> },
    /** Its keeper has gone, and with it all debuggers. */
    private readonly orphaned: (copy: Copy) => Promise<void>,
  ) {}

  /** Waits for the copy's end: its supervisor tells it by way of the keeper, or in the report that it writes. */
  async of(copy: Copy): Promise<Ended> {
    for (let index = 1; ; ) {
      try {
        const { line } = await this.node.keeper.call(
          'process.line',
          { key: copy.supervisor, index },
          { timeoutMs: Infinity },
        );
        if (line === null) return { end: await this.#reported(copy), orphaned: false };
        const said = readSupervision(line);
        if ('exited' in said) return { end: said.exited, orphaned: false };
        index++;
      } catch (error) {
        if (asGodwitError(error).code === 'no-such-process') {
          await this.orphaned(copy);
          return { end: await this.#reported(copy), orphaned: true };
        }
        await sleep(REPORT_POLL_MS);
      }
    }
  }

  /** The report to its home. `lost`: what ended it, if that was neither the program itself nor a request to end it. */
  async explain(copy: Copy, { end, orphaned }: Ended): Promise<{ exit: Exit; lost: string | null }> {
    const exit = await this.#explained(exitOf(end), copy);
    if (copy.outlived && exit.signal !== null && copy.forgotten === null)
      return { exit: { ...exit, reason: `its allocation ${copy.allocation} is over` }, lost: null };
    if (copy.forgotten !== null) return { exit, lost: copy.forgotten };
    return { exit, lost: await this.#notItsOwn(copy, exit, orphaned) };
  }

  /** A kill by the kernel looks like any other; only the group knows it. */
  async #explained(exit: Exit, { cgroup, limits: { memory }, allocation }: Copy): Promise<Exit> {
    const ofNode = this.node.memory.words;
    if (memory === undefined && allocation === null && ofNode === null) return exit;
    const kills = await (await JobAccount.of(cgroup)).memoryKills();
    if (kills === 0) return exit;
    const what = exit.signal === 'SIGKILL' ? 'ended' : 'a process of it was ended';
    // The kernel does not say which of them it was.
    const limits = [
      memory === undefined ? null : `its memory limit of ${size(memory)}`,
      memory === undefined && allocation !== null ? `the memory of its allocation ${allocation}` : null,
      ofNode,
    ].filter((limit) => limit !== null);
    return { ...exit, reason: `${what} by ${limits.join(', or by ')}` };
  }

  /** A debugger's breakpoint without the debugger, or a CRIU that was interrupted. */
  async #notItsOwn(copy: Copy, { signal }: Exit, orphaned: boolean): Promise<string | null> {
    if (signal === null) return null;
    if (copy.injury !== null && CRASHES.includes(signal)) return copy.injury;
    if (!copy.debugged || orphaned || !(signal === 'SIGKILL' || CRASHES.includes(signal))) return null;
    const { lost } = await this.node.keeper
      .call('job.debuggerLost', { job: copy.job })
      .catch(() => ({ lost: null }));
    // A process that is killed takes its gdbserver along; a breakpoint without gdbserver kills the process.
    return lost && (lost.alive || signal === 'SIGTRAP') ? lost.reason : null;
  }

  async #reported(copy: Copy): Promise<End> {
    for (;;) {
      const text = await readFile(copy.report, 'utf8').catch(() => null);
      if (text !== null)
        return parseWith(End, parseJson("a supervisor's report", text), "a supervisor's report");
      // Without supervisor and processes there will be none.
      if ((await JobCgroup.at(copy.cgroup).pids()).length === 0) return { signal: 9 };
      await sleep(REPORT_POLL_MS);
    }
  }
}
