/** Work that says each step that it has done. A signal ends it at the next one, which undoes what was done. */
import { EndingSignals } from './interrupted';
import { note } from './output';

/** `signal`: for what takes long and may be cut off. @throws Interrupted */
export async function inSteps<T>(
  work: (step: (what: string) => void, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const signals = new EndingSignals();
  const step = (what: string) => {
    note(what);
    signals.throwIfAny();
  };
  try {
    return await work(step, signals.cut);
  } finally {
    signals.end();
  }
}
