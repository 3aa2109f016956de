import { type DebugSession, type Disposable, debug, EventEmitter } from 'vscode';
import { z } from 'zod';
import { JobId } from '../../agent/api/model';

/** What gdb says where there is nothing to continue. */
const RUNS = /\brunning\b|\bruns\b/;
const ThreadsSaid = z.object({ threads: z.array(z.object({ id: z.int() })) });
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

  /**
   * Pauses all, or lets all go on, at once. One that runs, or stands, already has nothing to do. Resolves with how many
   * there are. @throws the first refusal for another reason
   */
  async askAll(request: 'pause' | 'continue'): Promise<number> {
    const asked = this.sessions.map(async (session) => {
      const { threads } = ThreadsSaid.parse(await session.customRequest('threads'));
      await session.customRequest(request, { threadId: threads[0]?.id ?? 1 });
    });
    for (const answer of await Promise.allSettled(asked))
      if (answer.status === 'rejected' && !RUNS.test(String(answer.reason))) throw answer.reason;
    return asked.length;
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
