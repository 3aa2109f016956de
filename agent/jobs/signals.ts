import { constants } from 'node:os';
import { GodwitError } from '../api/errors';

/** @throws `no-such-signal` */
export function signalNamed(name: string): NodeJS.Signals {
  if (name in constants.signals) return name as NodeJS.Signals;
  throw new GodwitError({
    code: 'no-such-signal',
    message: `there is no signal ${name}`,
    fix: 'give one like SIGTERM, SIGINT or SIGKILL',
  });
}
