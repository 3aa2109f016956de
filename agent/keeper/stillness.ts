import type { JobCgroup } from '../machine/cgroup/cgroup';
import { SerialQueue } from '../machine/serial-queue';

/** A job that freezes in milliseconds; one that does not has a thread deep in a driver, and is left alone. */
export const FREEZE_DEADLINE_MS = 10_000;

/** A job that several debuggers want to stand still, each for a while: it runs on when the last of them is done. */
export class Stillness {
  readonly #turns = new SerialQueue();
  #holders = 0;

  /** @throws will-not-freeze */
  begin(cgroup: JobCgroup): Promise<void> {
    return this.#turns.take(async () => {
      await cgroup.freeze(FREEZE_DEADLINE_MS);
      this.#holders++;
    });
  }

  end(cgroup: JobCgroup): Promise<void> {
    return this.#turns.take(async () => {
      this.#holders--;
      if (this.#holders === 0) await cgroup.thaw();
    });
  }
}
