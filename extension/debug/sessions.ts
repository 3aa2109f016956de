import { type DebugSession, type Disposable, debug, EventEmitter } from 'vscode';
import { z } from 'zod';
import { JobId } from '../../agent/api/model';

const JobSaid = z.object({ id: JobId });

/** Which job each debug session is on, as its adapter says at its start. */
export class DebuggedJobs implements Disposable {
  readonly #sessions = new Map<string, { session: DebugSession; job: string }>();
  readonly #changes = new EventEmitter<void>();
  readonly #parts: Disposable[];
  /** A session's job is known, or a session is over. */
  readonly onDidChange = this.#changes.event;

  constructor() {
    this.#parts = [
      debug.onDidReceiveDebugSessionCustomEvent(({ session, event, body }) => {
        if (session.type !== 'godwit' || event !== 'godwit.job') return;
        const said = JobSaid.safeParse(body);
        if (!said.success) return;
        this.#sessions.set(session.id, { session, job: said.data.id });
        this.#changes.fire();
      }),
      debug.onDidTerminateDebugSession(({ id }) => {
        if (this.#sessions.delete(id)) this.#changes.fire();
      }),
      this.#changes,
    ];
  }

  get sessions(): DebugSession[] {
    return [...this.#sessions.values()].map(({ session }) => session);
  }

  jobOf(session: DebugSession | string | undefined): string | undefined {
    const id = typeof session === 'string' ? session : session?.id;
    return id === undefined ? undefined : this.#sessions.get(id)?.job;
  }

  /** Can its debugging be ended without ending the job itself, as a session that has launched it would? */
  isOnlyAttached(job: string): boolean {
    const its = this.#on(job);
    return its.length > 0 && its.every(({ configuration }) => configuration.request === 'attach');
  }

  async stopFor(job: string): Promise<void> {
    await Promise.all(this.#on(job).map((session) => debug.stopDebugging(session)));
  }

  #on(job: string): DebugSession[] {
    return [...this.#sessions.values()].filter((one) => one.job === job).map(({ session }) => session);
  }

  /** Before their jobs are ended: what is left alone would wait for an agent to come back. */
  async stopAll(): Promise<void> {
    await Promise.all(this.sessions.map((session) => debug.stopDebugging(session)));
  }

  dispose(): void {
    for (const part of this.#parts) part.dispose();
  }
}
