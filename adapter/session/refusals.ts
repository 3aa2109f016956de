/** Requests of the protocol that this adapter does not serve. */
import { GodwitError } from '../../agent/api/errors';

/** Each with what to do instead; none of them is among the capabilities in the answer to `initialize`. */
const REFUSED: Readonly<Record<string, string>> = {
  restartFrame: 'send the thread back to an earlier line of its function instead',
  reverseContinue: 'programs can only be run forward',
  source: 'open the file by its path',
  stepBack: 'programs can only be run forward',
  terminateThreads: 'end the program instead',
};

export const isRefused = (command: string): boolean => Object.hasOwn(REFUSED, command);

export const notSupported = (command: string) =>
  new GodwitError({
    code: 'not-supported',
    message: `this debugger does not serve the request "${command}"`,
    fix: REFUSED[command]!,
  });
