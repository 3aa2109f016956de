/** gdb's life within a session: it is looked for, started, given its Python and the line, and ended. */
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { GodwitError } from '../../agent/api/errors';
import { gdbFailed, noGdb } from '../errors';
import { type Gdb, GdbFactory } from '../gdb/gdb';
import type { Python } from '../gdb/python';
import { quoted } from '../gdb/quoting';
import { TellingSession } from './telling-session';

/** Milliseconds for gdb to have a stopped program killed. While its node does not answer, gdb waits for it. */
const KILL_MS = 5_000;
/** gdb gives up on a slow reply after so many seconds, 2 by default: far above the longest freeze. */
const REMOTE_TIMEOUT_S = 3600;
/** Beside the bundle. */
const PYTHON = join(__dirname, 'gdb');

export interface GdbOptions {
  gdb: string;
  cwd: string;
  /** Where libraries are looked for, if not where gdb was built to look. */
  sysroot?: string;
  /** Commands of gdb's or of MI's that come before gdb looks at the program. */
  before: Setup[];
}

export interface Setup {
  text: string;
  ignoreFailures?: boolean | undefined;
}

/** An assertion of gdb's own that does not hold ends what was asked; by itself gdb would end, and the session with it. */
const OWN_ERRORS = ['quit', 'corefile'].map((what) => `maintenance set internal-error ${what} no`);

export abstract class GdbSession extends TellingSession {
  private readonly factory: GdbFactory;
  private ready = false;
  /** How it has ended. */
  private gdbsEnd: string | undefined;

  constructor() {
    const factory = new GdbFactory();
    super(factory);
    this.factory = factory;
  }

  /** gdb has ended, for whatever reason. */
  protected abstract gdbEnded(how: string): void;

  protected get ownGdb(): Gdb {
    return this.factory.gdb!;
  }

  protected get python(): Python {
    return this.ownGdb.python;
  }

  protected override canRequestProceed(): boolean {
    return this.ready;
  }

  protected override shouldReportError(error: unknown): boolean {
    return this.ready && super.shouldReportError(error);
  }

  /** Before anything is launched for it. @throws GodwitError `no-gdb` */
  protected async findGdb(gdb: string): Promise<void> {
    if (!(await isExecutable(gdb))) throw noGdb(gdb, 'there is no such program');
  }

  /** It needs no job yet. @throws GodwitError `no-gdb`, `no-python`, `gdb-failed` */
  protected async beginGdb({ sysroot, before, ...options }: GdbOptions): Promise<void> {
    await orFailed(async () => {
      await this.startGdb(options);
      for (const setup of before) await this.setUp(setup);
      if (sysroot !== undefined) await this.gdb.sendGDBSet(`sysroot ${sysroot}`);
    });
  }

  /** @throws GodwitError `gdb-failed` */
  protected async connectGdb(socket: string): Promise<void> {
    await orFailed(async () => {
      if (this.gdbsEnd) throw new Error(`it ${this.gdbsEnd}`);
      await this.gdb.sendCommand(`-target-select remote ${socket}`);
      await this.gdb.confirmAsyncMode();
    });
    this.isAttach = true;
    this.ready = true;
    const { withoutSymbols } = this.gdbOutput;
    if (withoutSymbols)
      this.say(
        `${withoutSymbols} has no debug information: no lines, no variables, and breakpoints in source files are never hit; compile it with -g.`,
        'important',
      );
  }

  /** To the next job. gdb reads the program from its file once more, which may have been built anew. */
  protected async connectAnew(socket: string): Promise<void> {
    await orFailed(async () => {
      await this.python.ask('forget_program', {});
      await this.gdb.sendCommand(`-target-select remote ${socket}`);
      await this.python.ask('enable_again', {});
    });
  }

  /** What a program has left that has ended. @throws GodwitError `gdb-failed` */
  protected async connectCore({ program, core }: { program: string; core: string }): Promise<void> {
    await orFailed(async () => {
      await this.gdb.sendCommand(`-file-exec-and-symbols ${quoted(program)}`);
      await this.gdb.sendCommand(`-target-select core ${core}`);
    });
    this.isAttach = true;
    this.ready = true;
  }

  private async startGdb({ gdb, cwd }: Pick<GdbOptions, 'gdb' | 'cwd'>): Promise<void> {
    const settings = [
      `remotetimeout ${REMOTE_TIMEOUT_S}`,
      'confirm off',
      'pagination off',
      // Else all go in and out at each step. A park takes them out of the program, as it does while it runs.
      'breakpoint always-inserted on',
      // Of a function that was called and did not come to its end nothing is left.
      'unwindonsignal on',
    ];
    const commands = [...settings.map((setting) => `set ${setting}`), ...OWN_ERRORS];
    const args = { gdb, cwd, gdbArguments: commands.flatMap((command) => ['-iex', command]) };
    const manager = await this.factory.createGDBManager();
    await manager.getVersion(args).catch((error: Error) => {
      throw noGdb(gdb, error.message);
    });
    await this.setupCommonLoggerAndBackends(args);
    this.initializeSessionArguments(args);
    this.gdb.on('exit', (code, signal) => {
      this.gdbsEnd = signal ? `was ended by ${signal}` : `exited with status ${code}`;
      this.gdbEnded(this.gdbsEnd);
    });
    await this.spawn(args);
    await this.python.load(PYTHON);
  }

  private async setUp({ text, ignoreFailures }: Setup): Promise<void> {
    try {
      await this.sendCommandToGdb(this.gdb, text, undefined);
    } catch (error) {
      const why = `the command "${text}" of setupCommands failed: ${(error as Error).message}`;
      if (!ignoreFailures) throw new Error(why);
      this.say(why, 'stderr');
    }
  }

  protected override capabilities(): DebugProtocol.Capabilities {
    return { ...super.capabilities(), supportTerminateDebuggee: true };
  }

  /**
   * Kills the process if it is stopped under gdb. Killed by others it would be a zombie until gdb lets it go. One that
   * runs is not for gdb to kill.
   */
  protected async killStopped(): Promise<void> {
    if (!this.ready || this.isRunning) return;
    const killing = this.gdb.sendCommand('-interpreter-exec console kill').catch(() => {});
    await Promise.race([killing, sleep(KILL_MS, undefined, { ref: false })]);
  }

  /** gdb has ended afterwards, in any case; the program is not touched by it. */
  protected async endGdb(): Promise<void> {
    this.ready = false;
    await this.factory.gdb?.end();
  }
}

/** @throws GodwitError `gdb-failed`, or what `work` says by name */
async function orFailed(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw error instanceof GodwitError ? error : gdbFailed((error as Error).message);
  }
}

/** As it would be found for a process that is started (execvp(3)). */
async function isExecutable(program: string): Promise<boolean> {
  const folders = program.includes('/') ? [''] : (process.env.PATH ?? '').split(delimiter);
  const found = folders.map((folder) => access(join(folder, program), constants.X_OK));
  return Promise.any(found).then(
    () => true,
    () => false,
  );
}
