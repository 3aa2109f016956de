/**
 * Breakpoints that a client puts in and takes out while the process stands. It makes no difference before the process
 * runs again, so they wait for that, and what is taken out and put in again in between need not be said at all.
 */
import { MAX_TOGETHER, MAX_TOGETHER_BYTES } from '../rsp/together';
import { pageOf } from './known';

/** A software breakpoint without a condition. */
const PLAIN = /^Z0,([0-9a-f]{1,16}),[0-9a-f]{1,4}$/i;
const POINT = /^[zZ][0-4],/;
/** Pages are few: those of the code that is stepped through. */
const MAX_PAGES = 4096;

/** `Z0,401136,1;X3,220027` and `z0,401136,1` mean the same breakpoint. */
const keyOf = (packet: string): string => packet.slice(1).split(';')[0]!;

export const isPoint = (packet: string): boolean => POINT.test(packet);

export class Breakpoints {
  /** What the stub has put in: whole packets, by their keys. */
  readonly #in = new Map<string, string>();
  /** What the client believes to be done, in its order; one at the most for each key. */
  #waiting = new Map<string, string>();
  /** What the client believes to be in, and the stub could not put in. */
  readonly #missing = new Set<string>();
  /** Pages in which one could be put in, so that the next one can. */
  readonly #goodPages = new Set<bigint>();
  /** Where a breakpoint was there may be other code by now: it must be taken out and put in, not left as it is. */
  #isLoading = false;
  #bytes = 0;

  /** What is to be said before the process runs. */
  get waiting(): string[] {
    return [...this.#waiting.values()];
  }

  /** May the client believe that it is done? What is not certain to be must be asked. @param readable can it be read there? */
  defer(packet: string, readable: (address: bigint) => boolean): boolean {
    const key = keyOf(packet);
    if (packet.startsWith('z') && this.#missing.delete(key)) return true;
    const waiting = this.#waiting.get(key);
    if (packet.startsWith('z')) {
      if (waiting?.startsWith('Z')) return this.#forget(key);
      return waiting === undefined && this.#in.has(key) && this.#wait(packet);
    }
    if (this.#missing.has(key)) return false;
    if (waiting?.startsWith('z'))
      return !this.#isLoading && this.#in.get(key) === packet && this.#forget(key);
    if (waiting !== undefined) return waiting === packet;
    // One that is in already is put in anew where a library has been loaded anew.
    return !this.#in.has(key) && this.#isSure(packet, readable) && this.#wait(packet);
  }

  #wait(packet: string): boolean {
    if (this.#waiting.size + 2 >= MAX_TOGETHER || this.#bytes + packet.length > MAX_TOGETHER_BYTES / 2)
      return false;
    this.#waiting.set(keyOf(packet), packet);
    this.#bytes += packet.length;
    return true;
  }

  #forget(key: string): true {
    this.#bytes -= this.#waiting.get(key)!.length;
    this.#waiting.delete(key);
    return true;
  }

  #isSure(packet: string, readable: (address: bigint) => boolean): boolean {
    const [, at] = PLAIN.exec(packet) ?? [];
    if (at === undefined) return false;
    const address = BigInt(`0x${at}`);
    return this.#goodPages.has(pageOf(address)) || readable(address);
  }

  /** They are on their way. */
  takeWaiting(): string[] {
    const waiting = this.waiting;
    this.#waiting = new Map();
    this.#bytes = 0;
    return waiting;
  }

  /** Of these, those that take one out: they are on their way. */
  takeRemovals(): string[] {
    const removals = this.waiting.filter((packet) => packet.startsWith('z'));
    for (const packet of removals) this.#forget(keyOf(packet));
    return removals;
  }

  /** Not looked at by the stub: they wait again, before those that came since. */
  putBack(packets: readonly string[]): void {
    this.#waiting = new Map([...packets.map((packet) => [keyOf(packet), packet] as const), ...this.#waiting]);
    this.#bytes = this.waiting.reduce((sum, { length }) => sum + length, 0);
  }

  /** The stub has done it. */
  done(packet: string): void {
    const key = keyOf(packet);
    this.#missing.delete(key);
    if (packet.startsWith('z')) {
      this.#in.delete(key);
      return;
    }
    this.#in.set(key, packet);
    const [, at] = PLAIN.exec(packet) ?? [];
    if (at !== undefined && this.#goodPages.size < MAX_PAGES) this.#goodPages.add(pageOf(BigInt(`0x${at}`)));
  }

  /** The client believes that it is in, and it is not. */
  refused(packet: string): void {
    this.#missing.add(keyOf(packet));
  }

  /** It was in, and is no more. */
  lost(packet: string): void {
    this.#in.delete(keyOf(packet));
  }

  /** What was known of the program's memory is so no more: it loads or unloads libraries. */
  forgetPages(): void {
    this.#goodPages.clear();
    this.#isLoading = true;
  }

  /** The process has run. */
  stopped(): void {
    this.#isLoading = false;
  }

  /** Another program is in its place. */
  forget(): void {
    this.forgetPages();
    this.#in.clear();
    this.#missing.clear();
    this.takeWaiting();
  }
}
