/** Errors between an agent and its clients. */
import { GodwitError } from '../api/errors';

export const lostInCall = (why: string) =>
  new GodwitError({
    code: 'connection-lost',
    message: `${why} before it had answered`,
    fix: 'see `godwit ps` and `godwit history` for what came of it',
  });

export const agentGone = (socket: string, seconds: number, why: string) =>
  new GodwitError({
    code: 'agent-gone',
    message: `the agent at ${socket} has not come back for ${seconds} s: ${why}`,
    fix: 'jobs run on without it; ask again when it is up',
  });

export const left = () => new GodwitError({ code: 'left', message: 'the console reader was closed' });

export const debuggerRefused = (why: string) =>
  new GodwitError({ code: 'debugger-refused', message: `no debugger can be attached: ${why}` });
