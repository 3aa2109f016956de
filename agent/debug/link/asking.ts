/**
 * What becomes of a client's packets at the line. While the process stands, only what its client does can change it; so
 * what the stub has told of it unasked (rsp/together.ts) is an answer, selections and breakpoints need not be said before
 * something depends on them, and what does goes in one message with them. Anything that is not known to leave the
 * process as it is makes the line forget what it was told.
 */
import { badMessage, type GodwitError } from '../../api/errors';
import { MAX_PACKET } from '../rsp/codec';
import { isResume, parseStopReply, parseThreadId } from '../rsp/packets';
import { tellsSymbols } from '../rsp/symbols';
import { decodeAnswers, encodeTogether, isAnswers, type Wish } from '../rsp/together';
import { Breakpoints, isPoint } from './breakpoints';
import { Known } from './known';
import { SymbolLookup } from './symbol-lookup';
import { Wishes } from './wishes';

/** Packets that change nothing. Selections and breakpoints change nothing of the process, and are dealt with apart. */
const READS =
  /^(?:[gmpxT?]|vCont\?|vFile:|qC$|qAttached|qOffsets|q[fs]ThreadInfo|qThreadExtraInfo|qGetTLSAddr|qCRC|qSearch|qXfer:[a-z0-9-]+:read:)/;
/** What can be told ahead: where one of them has to be asked for, the others may as well come along. */
const TOLD_AHEAD = /^(?:g$|m|T|Hg|qXfer:threads:read:)/;
/** What is told the debug server and changes nothing of the process, nor of what was told of it. */
const SETTINGS = /^(?:H|[zZ][0-4],|QPassSignals:|QProgramSignals:|QCatchSyscalls:|QThreadEvents:)/;
/** What gdb reads when the program loads or unloads one. */
const LIBRARIES = /^qXfer:libraries(?:-svr4)?:read:/;
/** gdb sends it before and after each step on the way to another; no other setting comes often. */
const PASS_SIGNALS = 'QPassSignals:';
/** From a client that does not wait for answers. A debugger waits. */
const MAX_WAITING = 64;
/** Among the packets that wait: the client's interrupt. */
const INTERRUPT = '\x03';

interface Sent {
  packets: string[];
  together: boolean;
  /** The client has had its answers. */
  answered: boolean;
  /** It was under way when the connection was cut: the process may have moved, and what is told with it be old. */
  cut: boolean;
}

export interface AskingEnds {
  /** To the stub. */
  send(packet: string): void;
  interrupt(): void;
  /** To the client. */
  reply(payload: string): void;
  /** One of the two does not keep to the protocol. */
  fail(why: GodwitError): void;
}

export class Asking {
  readonly #ends: AskingEnds;
  readonly #breakpoints = new Breakpoints();
  readonly #wishes = new Wishes();
  readonly #symbols = new SymbolLookup();
  readonly #sent: Sent[] = [];
  readonly #waiting: string[] = [];
  #known: Known | null = null;
  /** The thread that the stub has selected, and the one that the client has; null where that is not known. */
  #selected: string | null = null;
  #wanted: string | null = null;
  /** Processes that the client holds besides: breakpoints and threads may be theirs. */
  readonly #children = new Set<number>();
  /** Its list of signals that the program is to get without its hearing of it: as the stub has it, and as it will have it. */
  readonly #passing: { set: string | null; waiting: string | null } = { set: null, waiting: null };
  /** What the client is told in place of its next resume. */
  #owed: string | null = null;
  /** The stub does not know requests that are sent together. */
  #plain = false;
  /** What is asked one by one then, behind the one that was sent. */
  #rest: string[] = [];

  constructor(ends: AskingEnds) {
    this.#ends = ends;
  }

  /** A packet of the client. */
  take(packet: string): void {
    if (this.#sent.length === 0 && this.#waiting.length === 0) this.#begin(packet);
    // While the process runs it is an interrupt, which has no answer.
    else if (packet === 'vCtrlC') this.#ends.send(packet);
    else if (this.#goesStraight) this.#pass(packet);
    else this.#wait(packet);
  }

  /** The client wants the process stopped. */
  interrupt(): void {
    if (this.#waiting.length > 0) this.#wait(INTERRUPT);
    else this.#ends.interrupt();
  }

  /**
   * The client takes its time. While the process stands without breakpoints it outlives the end of its debug server,
   * which would leave them in it: those that the client believes to be out are taken out.
   */
  settle(): void {
    if (this.#sent.length > 0 || this.#waiting.length > 0 || this.#plain) return;
    const removals = this.#breakpoints.takeRemovals();
    if (removals.length > 0) this.#send(encodeTogether({ packets: removals, wish: null }), removals, true);
  }

  /** A packet of the stub. @throws bad-message */
  answered(payload: string): void {
    const sent = this.#sent.shift();
    if (!sent) this.#deliver(isAnswers(payload) ? decodeAnswers(payload).replies.at(-1)! : payload);
    else if (sent.answered) this.#settled(sent.packets, payload);
    else if (!sent.together) this.#answeredOne(sent.packets[0]!, payload);
    else if (payload === '') {
      this.#plain = true;
      this.#askOneByOne(sent.packets);
    } else if (isAnswers(payload)) this.#unpack(sent, payload);
    else {
      // From a stub that was taken up elsewhere meanwhile: what was before the last has been done.
      for (const packet of sent.packets.slice(0, -1)) this.#note(packet, 'OK');
      this.#note(sent.packets.at(-1)!, payload);
      this.#deliver(payload);
    }
    this.#next();
  }

  /** The connection to the stub is cut: the process may move. */
  cut(): void {
    this.#known = null;
    for (const sent of this.#sent) sent.cut = true;
  }

  /** There is a connection again, perhaps to another stub. */
  connected(): void {
    this.#plain = false;
  }

  /** The stub could not put it in again. */
  breakpointLost(packet: string): void {
    this.#breakpoints.lost(packet);
  }

  #next(): void {
    while (this.#sent.length === 0 && this.#waiting.length > 0) {
      const next = this.#waiting.shift()!;
      if (next === INTERRUPT) this.#ends.interrupt();
      else this.#begin(next);
    }
  }

  #wait(packet: string): void {
    if (this.#waiting.length < MAX_WAITING) this.#waiting.push(packet);
    else this.#ends.fail(badMessage('the client', 'it does not wait for answers'));
  }

  /** Behind others that went as they are, and with nothing that has to go before it? */
  get #goesStraight(): boolean {
    const waits = this.#breakpoints.waiting.length > 0 || this.#passing.waiting !== null;
    const hasBefore = this.#wanted !== this.#selected || waits;
    return (
      this.#waiting.length === 0 &&
      this.#rest.length === 0 &&
      !hasBefore &&
      !this.#sent.some(({ together }) => together)
    );
  }

  /** What the one before will have done is not known yet. */
  #pass(packet: string): void {
    this.#known = null;
    this.#selectedIs(null);
    this.#send(packet, null);
  }

  #begin(packet: string): void {
    const looked = this.#plain ? null : this.#symbols.take(packet);
    const answer = looked ? null : this.#answerHere(packet);
    const step = looked ?? (answer === null ? { ask: packet, first: [] } : { answer });
    if ('answer' in step) this.#deliver(step.answer);
    else this.#ask(step.ask, step.first);
  }

  // ---- Answered here

  #answerHere(packet: string): string | null {
    if (this.#owed !== null && isResume(packet)) {
      const owed = this.#owed;
      this.#owed = null;
      return owed;
    }
    if (this.#plain) return null;
    if (packet.startsWith('Hg')) return this.#select(packet.slice(2));
    if (isPoint(packet)) return this.#isAlone && this.#defer(packet) ? 'OK' : null;
    if (packet.startsWith(PASS_SIGNALS)) return this.#passSignals(packet) ? 'OK' : null;
    const answer = this.#known?.answer(packet, this.#wanted) ?? null;
    if (answer !== null) this.#wishes.asked(packet);
    return answer;
  }

  /** All that it asks is about one process. */
  get #isAlone(): boolean {
    return this.#children.size === 0;
  }

  #select(thread: string): string | null {
    if (thread !== this.#wanted && !this.#known?.has(thread)) return null;
    this.#wanted = thread;
    return 'OK';
  }

  #defer(packet: string): boolean {
    return this.#breakpoints.defer(packet, (address) => this.#known?.hasPage(address) ?? false);
  }

  /** A list that the stub has taken once it takes again. */
  #passSignals(packet: string): boolean {
    if (this.#passing.set === null) return false;
    this.#passing.waiting = packet === this.#passing.set ? null : packet;
    return true;
  }

  // ---- Asked

  /** `first`: what has to be told before it. */
  #ask(packet: string, first: string[]): void {
    const reads = READS.test(packet);
    const before = [...first, ...(this.#wanted === this.#selected ? [] : [`Hg${this.#wanted}`])];
    if (!reads) before.push(...this.#takeWaiting());
    const wish = this.#plain ? null : this.#wishFor(packet);
    if (LIBRARIES.test(packet)) this.#breakpoints.forgetPages();
    if (reads) this.#wishes.asked(packet);
    else if (!SETTINGS.test(packet)) this.#known = null;
    if (before.length === 0 && wish === null) this.#send(packet, null);
    else this.#sendTogether([...before, packet], wish);
  }

  #takeWaiting(): string[] {
    const signals = this.#passing.waiting;
    this.#passing.waiting = null;
    return [...this.#breakpoints.takeWaiting(), ...(signals === null ? [] : [signals])];
  }

  #wishFor(packet: string): Wish | null {
    if (isResume(packet)) return this.#wishes.forStop();
    if (!TOLD_AHEAD.test(packet) || !this.#isAlone) return null;
    if (this.#known === null) return this.#wishes.forRead();
    if (packet === 'g' && this.#wanted !== null) return this.#wishes.forRegisters(this.#known, this.#wanted);
    return packet.startsWith('m') ? this.#wishes.forMemory(packet) : this.#wishes.forThreads(this.#known);
  }

  #send(packet: string, packets: string[] | null, answered = false): void {
    // The end of the process is the only answer to that.
    const sent = { packets: packets ?? [packet], together: packets !== null, answered, cut: false };
    if (sent.packets.at(-1) !== 'k') this.#sent.push(sent);
    this.#ends.send(packet);
  }

  #sendTogether(packets: string[], wish: Wish | null): void {
    const together = encodeTogether({ packets, wish });
    if (this.#plain || together.length > MAX_PACKET) this.#askOneByOne(packets);
    else this.#send(together, packets);
  }

  // ---- Answers

  #deliver(payload: string): void {
    this.#ends.reply(payload);
  }

  /** What an answer says of what this end keeps count of. */
  #note(packet: string, reply: string): void {
    if (packet.startsWith('Hg') && reply === 'OK') this.#selectedIs(packet.slice(2));
    else if (isPoint(packet) && this.#children.size > 0) this.#breakpoints.lost(packet);
    else if (isPoint(packet) && reply === 'OK') this.#breakpoints.done(packet);
    else if (packet.startsWith(PASS_SIGNALS)) this.#passing.set = reply === 'OK' ? packet : null;
    else if (packet.startsWith('D;') && reply === 'OK') this.#left(Number.parseInt(packet.slice(2), 16));
    else if (isResume(packet)) this.#stopped(reply);
    // That selects no thread.
    else if (packet === '?') this.#forked(reply);
  }

  #selectedIs(thread: string | null): void {
    const one = thread === null ? null : parseThreadId(thread);
    // `any thread` is not one that is known.
    this.#selected = one !== null && one.thread > 0 ? thread : null;
    this.#wanted = this.#selected;
  }

  #stopped(reply: string): void {
    const stop = parseStopReply(reply);
    if (stop === null) return;
    this.#selectedIs('thread' in stop ? (stop.thread ?? null) : null);
    this.#breakpoints.stopped();
    if (stop.kind !== 'stop' || stop.reason === 'library') this.#breakpoints.forgetPages();
    if ('process' in stop && stop.process !== undefined) this.#children.delete(stop.process);
    if (stop.kind !== 'stop') return;
    if (stop.reason === 'exec') {
      this.#breakpoints.forget();
      this.#symbols.forget();
    }
    this.#forked(reply);
  }

  #forked(reply: string): void {
    const stop = parseStopReply(reply);
    if (stop?.kind !== 'stop' || (stop.reason !== 'fork' && stop.reason !== 'vfork')) return;
    const child = parseThreadId(stop.detail ?? '')?.process;
    if (child !== undefined) this.#children.add(child);
  }

  /** The client has let a process go. */
  #left(process: number): void {
    if (this.#children.delete(process)) return;
    // The parent: what it holds now is the child.
    this.#children.clear();
    this.#breakpoints.forget();
  }

  #unpack({ packets, cut }: Sent, payload: string): void {
    const { replies, ahead } = decodeAnswers(payload);
    if (replies.length > packets.length) throw badMessage('the stub', 'it answers more than it was asked');
    for (const [nth, reply] of replies.entries()) this.#note(packets[nth]!, reply);
    if (replies.length < packets.length) {
      this.#refused(packets, replies.length - 1);
      return;
    }
    if (ahead && !cut) {
      this.#known ??= new Known();
      this.#known.add(ahead);
    }
    this.#deliver(replies.at(-1)!);
  }

  #settled(removals: string[], payload: string): void {
    if (payload === '') {
      this.#plain = true;
      this.#breakpoints.putBack(removals);
      return;
    }
    // A stub that was taken up elsewhere meanwhile answers the last.
    const replies = isAnswers(payload)
      ? decodeAnswers(payload).replies
      : [...removals.slice(0, -1).map(() => 'OK'), payload];
    if (replies.length > removals.length) throw badMessage('the stub', 'it answers more than it was asked');
    for (const [nth, reply] of replies.entries()) {
      if (reply === 'OK') this.#note(removals[nth]!, reply);
      else this.#breakpoints.lost(removals[nth]!);
    }
    this.#breakpoints.putBack(removals.slice(replies.length));
  }

  /** One that the client was told to be done already could not be. */
  #refused(packets: string[], nth: number): void {
    const [refused, last] = [packets[nth]!, packets.at(-1)!];
    const rest = packets.slice(nth + 1);
    // A breakpoint that can't be taken out is no more in the way than it was. A stub that does not know of symbols told ahead has the client asked for them.
    const isMissed = !refused.startsWith('Hg') && !refused.startsWith('z') && !tellsSymbols(refused);
    if (isPoint(refused) && isMissed) this.#breakpoints.refused(refused);
    else if (isPoint(refused)) this.#breakpoints.lost(refused);
    // Nothing is done in another thread's place.
    if (refused.startsWith('Hg')) this.#wanted = this.#selected;
    if (refused.startsWith('Hg') || (isMissed && isResume(last))) {
      this.#putBack(rest.slice(0, -1));
      this.#deliver(isMissed ? notDone(refused) : 'E01');
      return;
    }
    if (isMissed) this.#owed = notDone(refused);
    this.#sendTogether(rest, isResume(last) ? this.#wishes.forStop() : null);
  }

  #putBack(packets: string[]): void {
    this.#breakpoints.putBack(packets.filter(isPoint));
    this.#passing.waiting ??= packets.find((packet) => packet.startsWith(PASS_SIGNALS)) ?? null;
  }

  // ---- One by one: for a stub that does not know requests that are sent together, and where they are too long for that

  #askOneByOne([first, ...rest]: string[]): void {
    this.#rest = rest;
    this.#send(first!, null);
  }

  #answeredOne(packet: string, payload: string): void {
    this.#note(packet, payload);
    const rest = this.#rest;
    this.#rest = [];
    if (rest.length === 0) this.#deliver(payload);
    else if (payload === 'OK') this.#askOneByOne(rest);
    else this.#refused([packet, ...rest], 0);
  }
}

const notDone = (packet: string): string => {
  const what = isPoint(packet)
    ? `a breakpoint could not be put in at 0x${packet.split(',')[1]}`
    : 'signals could not be set';
  return `E.${what}, and the program was not let go`;
};
