/** What can go wrong in the command itself. */
import { GodwitError } from '../api/errors';

export const notAllowed = (socket: string) =>
  new GodwitError({
    code: 'not-allowed',
    message: `this user may not ask the agent at ${socket}`,
    fix: 'run the same as the user whom it serves, mostly root',
  });

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

export const noProgram = (program: string) =>
  new GodwitError({
    code: 'no-program',
    message: `${program} is not installed`,
    fix: 'install it; `godwit doctor` says what else is missing',
  });

export const cannotStart = (program: string, why: string) =>
  new GodwitError({ code: 'cannot-start', message: `${program} can't be started: ${why}` });

export const noCurrentFolder = () =>
  new GodwitError({
    code: 'no-current-folder',
    message: 'the current folder is no longer there',
    fix: 'change to one that is',
  });

export const checksFailed = (failed: string[], all: number) =>
  new GodwitError({
    code: 'checks-failed',
    message: `${failed.length} of ${all} checks failed (${failed.join(', ')})`,
    fix: 'each has its fix beside it',
  });

export const debuggerRefused = (why: string) =>
  new GodwitError({ code: 'debugger-refused', message: `no debugger can be attached: ${why}` });
