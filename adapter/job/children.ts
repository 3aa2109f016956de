/** Children of the debugged process, as the stub tells of them when they are followed. */
import { z } from 'zod';
import { JobLine } from '../../agent/client/job-line';

/** PATH_MAX. */
const MAX_PROGRAM = 4096;

const Said = z.object({
  event: z.literal('child'),
  /** As the job numbers it. */
  pid: z.coerce.number().pipe(z.int().min(1)),
  /** Of the stub that waits for a client; absent where the child runs on without one. */
  session: z.uuid().optional(),
  /** That it is about to begin; empty where it is at its parent's fork. */
  program: z.string().max(MAX_PROGRAM).optional(),
  why: z.string().max(MAX_PROGRAM).optional(),
});
export type Child = Omit<z.infer<typeof Said>, 'event'>;

/** undefined where the event is about something else. */
export const childOf = (event: Record<string, unknown>): Child | undefined => Said.safeParse(event).data;

/** It runs on without a debugger. @throws GodwitError where its stub can't be reached: that leaves it by itself then */
export async function letGo(socket: string, job: string, { pid, session }: Child): Promise<void> {
  const line = new JobLine({ socket, job, pid, session });
  await line.open();
  await line.line.close();
}
