/** Names of signals (signal(7)), as Node.js has them; real-time signals have none. */
import { constants } from 'node:os';

/** undefined for a real-time signal, or none. */
export const signalNamed = (number: number): string | undefined =>
  Object.entries(constants.signals).find(([, value]) => value === number)?.[0];

/** `SIG34` for one without a name. */
export const signalName = (number: number): string => signalNamed(number) ?? `SIG${number}`;

/** The exit status that stands for an end by a signal, as shells have it. */
export const exitStatusOf = (signal: NodeJS.Signals): number => 128 + constants.signals[signal];
