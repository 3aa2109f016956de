import { type DebugSession, type Disposable, debug } from 'vscode';
import { z } from 'zod';
import { JobId } from '../../agent/api/model';

const JobSaid = z.object({ id: JobId });

/** Which job each debug session is on, as its adapter says at its start. */
export class DebuggedJobs implements Disposable {
  readonly #jobs = new Map<string, string>();
  readonly #parts: Disposable[];

  constructor() {
    this.#parts = [
      debug.onDidReceiveDebugSessionCustomEvent(({ session, event, body }) => {
        if (session.type !== 'godwit' || event !== 'godwit.job') return;
        const said = JobSaid.safeParse(body);
        if (said.success) this.#jobs.set(session.id, said.data.id);
      }),
      debug.onDidTerminateDebugSession(({ id }) => void this.#jobs.delete(id)),
    ];
  }

  jobOf(session: DebugSession | string | undefined): string | undefined {
    const id = typeof session === 'string' ? session : session?.id;
    return id === undefined ? undefined : this.#jobs.get(id);
  }

  dispose(): void {
    for (const part of this.#parts) part.dispose();
  }
}
