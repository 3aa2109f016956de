/** gdb as cdt-gdb-adapter drives it, with what a session that must not hang or leave anything behind needs besides. */
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { GDBBackendFactory } from 'cdt-gdb-adapter/dist/desktop/factories/GDBBackendFactory';
import { GDBFileSystemProcessManager } from 'cdt-gdb-adapter/dist/desktop/processManagers/GDBFileSystemProcessManager';
import { GDBBackend } from 'cdt-gdb-adapter/dist/gdb/GDBBackend';
import type { IStdioProcess } from 'cdt-gdb-adapter/dist/types/gdb';
import { Python } from './python';

/** Milliseconds for a process that was killed to be gone. */
const KILL_MS = 5_000;
/** A program that can be interrupted stops within milliseconds of it. */
const INTERRUPT_AGAIN_MS = 1_000;

class GdbProcess extends GDBFileSystemProcessManager {
  private child: ChildProcess | undefined;
  private aside: Writable | undefined;

  giveUp(question: number): void {
    this.aside?.write(`${question}\n`);
  }

  /** In a session of its own: a signal to this process's group is this process's affair alone. */
  override async spawn(
    executable: string,
    args: string[] = [],
    { cwd }: { cwd?: string } = {},
  ): Promise<IStdioProcess> {
    // The fourth is read by gdb's Python alone (giving_up.py).
    const child = spawn(executable, args, {
      cwd,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    }) as ChildProcessWithoutNullStreams;
    this.child = child;
    this.aside = child.stdio[3] as Writable | undefined;
    this.aside?.on('error', () => {});
    // Each has an 'exit' or an error of the command under way behind it.
    child.on('error', () => {});
    child.stdin.on('error', () => {});
    return Object.assign(child, { getPID: () => child.pid });
  }

  /** At once, in any state: the line tells the stub that its client has gone. */
  async end(): Promise<void> {
    const { child } = this;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
      setTimeout(resolve, KILL_MS).unref();
    });
    child.kill('SIGKILL');
    await gone;
  }
}

export class Gdb extends GDBBackend {
  readonly python = new Python(this);
  /** Aborted when there is a stop. */
  private stopWanted = new AbortController();

  constructor(private readonly gdb: GdbProcess) {
    super(gdb);
    this.on('execAsync', (what) => {
      if (what === 'stopped') this.stopWanted.abort();
    });
  }

  /**
   * Stops all threads; where they are stopped already, nothing is to be done. An interrupt that comes while gdb steps the
   * program off a breakpoint finds it stopped, and is lost: so it is sent until there is a stop. One too many arrives
   * before the program is continued, and does nothing.
   */
  override pause(): void {
    this.stopWanted.abort();
    this.stopWanted = new AbortController();
    // Refused where the program is stopped, and aborted by the stop.
    this.interruptUntil(this.stopWanted.signal).catch(() => {});
  }

  giveUp(question: number): void {
    this.gdb.giveUp(question);
  }

  private async interruptUntil(stopped: AbortSignal): Promise<void> {
    while (!stopped.aborted) {
      await this.sendCommand('-exec-interrupt');
      await sleep(INTERRUPT_AGAIN_MS, undefined, { signal: stopped, ref: false });
    }
  }

  end(): Promise<void> {
    this.stopWanted.abort();
    return this.gdb.end();
  }
}

export class GdbFactory extends GDBBackendFactory {
  gdb: Gdb | undefined;
  /** One, which asks gdb for its version once: that takes a tenth of a second. */
  private readonly manager = new GdbProcess();

  override async createGDBManager(): Promise<GdbProcess> {
    return this.manager;
  }

  override async createBackend(_session: unknown, manager: unknown): Promise<Gdb> {
    this.gdb = new Gdb(manager as GdbProcess);
    return this.gdb;
  }
}
