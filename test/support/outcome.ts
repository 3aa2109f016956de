import { asGodwitError } from '../../agent/api/errors';

/** What comes of it, to be compared: `done`, or the code of the failure. */
export const outcome = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'done',
    (error) => asGodwitError(error).code,
  );
