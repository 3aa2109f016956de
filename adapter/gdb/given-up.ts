/** Requests of the client that it may give up, and what is done for them meanwhile. */
import { AsyncLocalStorage } from 'node:async_hooks';

/** Of the request for which something is done: aborted when the client does not want it any more. */
const CURRENT = new AsyncLocalStorage<AbortSignal>();

export const wish = (): AbortSignal | undefined => CURRENT.getStore();

/** As the protocol has it in the answer to a request that was given up. */
export const GIVEN_UP = 'cancelled';

export class Requests {
  private readonly underWay = new Map<number, AbortController>();

  /** @param seq the request's number */
  begin(seq: number, work: () => void): void {
    const controller = new AbortController();
    this.underWay.set(seq, controller);
    CURRENT.run(controller.signal, work);
  }

  /** It has been answered. */
  end(seq: number): void {
    this.underWay.delete(seq);
  }

  /** One that is answered already, or was never asked, is nothing to give up. */
  giveUp(seq: number): void {
    this.underWay.get(seq)?.abort();
  }

  isGivenUp(seq: number): boolean {
    return this.underWay.get(seq)?.signal.aborted ?? false;
  }
}
