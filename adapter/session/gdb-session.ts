/** gdb's life within a session: it is looked for, started, given its Python and the line, and ended. */
import { join } from 'node:path';
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
  sysroot: string;
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

  /** @throws GodwitError `no-gdb` */
  protected async checkGdb(gdb: string): Promise<void> {
    const manager = await this.factory.createGDBManager();
    await manager.getVersion({ gdb } as never).catch((error: NodeJS.ErrnoException) => {
      throw noGdb(gdb, error.code === 'ENOENT' ? 'there is no such program' : error.message);
    });
  }

  /** @throws GodwitError `no-python`, `gdb-failed` */
  protected async connectGdb(socket: string, options: GdbOptions): Promise<void> {
    try {
      await this.startGdb(options);
      for (const setup of options.before) await this.setUp(setup);
      await this.gdb.sendGDBSet(`sysroot ${options.sysroot}`);
      await this.gdb.sendCommand(`-target-select remote ${socket}`);
      await this.gdb.confirmAsyncMode();
    } catch (error) {
      throw error instanceof GodwitError ? error : gdbFailed((error as Error).message);
    }
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
    try {
      await this.python.ask('forget_program', {});
      await this.gdb.sendCommand(`-target-select remote ${socket}`);
      await this.python.ask('enable_again', {});
    } catch (error) {
      throw gdbFailed((error as Error).message);
    }
  }

  /** What a program has left that has ended. @throws GodwitError `no-python`, `gdb-failed` */
  protected async connectCore(
    { program, core }: { program: string; core: string },
    options: GdbOptions,
  ): Promise<void> {
    try {
      await this.startGdb(options);
      for (const setup of options.before) await this.setUp(setup);
      await this.gdb.sendCommand(`-file-exec-and-symbols ${quoted(program)}`);
      await this.gdb.sendCommand(`-target-select core ${core}`);
    } catch (error) {
      throw error instanceof GodwitError ? error : gdbFailed((error as Error).message);
    }
    this.isAttach = true;
    this.ready = true;
  }

  private async startGdb({ gdb, cwd }: GdbOptions): Promise<void> {
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
    await this.setupCommonLoggerAndBackends(args);
    this.initializeSessionArguments(args);
    this.gdb.on('exit', (code, signal) =>
      this.gdbEnded(signal ? `was ended by ${signal}` : `exited with status ${code}`),
    );
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
