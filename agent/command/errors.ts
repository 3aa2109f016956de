/** What can go wrong in the command itself. */
import { GodwitError } from '../api/errors';

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

export const notATerminal = (instead: string) =>
  new GodwitError({
    code: 'not-a-terminal',
    message: 'standard input and output are not a terminal',
    fix: instead,
  });
