/**
 * Who of the members is alive, and how loaded: SWIM with what Lifeguard adds, and a window of load records. Pure: it
 * takes messages and the time, and gives messages; chance comes from outside. A member costs the same however many there
 * are: a probe a second, its answer, and load to a few.
 */
import { MOST_NODES } from '../../api/lists';
import type { Standing, Statement, Telling } from '../../api/membership';
import { Freshness } from './freshness';
import { Health, OwnTime } from './health';
import { type Message, NONCE_BITS, Room, type Word } from './message';
import { MemberNames } from './names';
import { News } from './news';
import { Picture } from './picture';
import { type Ping, Pings, type Probe } from './pings';
import { Round } from './round';
import {
  ANSWER_MS,
  FEW,
  HELPERS,
  NEWS_TO,
  PROBE_EVERY_MS,
  TELL_EVERY_MS,
  TICK_MS,
  TOLD_BY,
  timesTold,
} from './timing';
import { type Figures, LoadWindow } from './window';

/** A message for a member; or an exchange with it over its link, whose outcome `linked` is told. */
export type Outgoing =
  | { to: string; message: Message }
  | { to: string; exchange: { nonce: number; telling: Telling } };

export interface GossipOptions {
  self: string;
  /** 0 ≤ x < 1; 48 bits of it that can't be foreseen. */
  random: () => number;
  /** Bytes of a message. */
  room: number;
  now: number;
  freshness?: Pick<Freshness, 'has' | 'judge' | 'proved' | 'forget'>;
  loads?: LoadWindow;
  /** The latest entry of the list of members that this node has; what to do when `from` has later ones. */
  roster?: { latest(): number; behind(from: string): void };
  changed?: (node: string, standing: Standing, by: string) => void;
}

export class Gossip {
  readonly #self: string;
  readonly #random: () => number;
  readonly #life: number;
  #count = 0;
  #members = new MemberNames([]);
  #out: Outgoing[] = [];

  readonly #time: OwnTime;
  readonly #health = new Health();
  readonly #news = new News();
  readonly #pings = new Pings();
  readonly #round: Round;
  readonly #picture: Picture;
  readonly #freshness: Pick<Freshness, 'has' | 'judge' | 'proved' | 'forget'>;
  readonly #loads: LoadWindow;
  /** Those that are to hear what is said of them. */
  readonly #owed = new Set<string>();
  /** What those have said last. */
  readonly #kept = new Map<string, { message: Message; at: number }>();
  /** Suspects that are to be asked, and so told. */
  readonly #toTell: string[] = [];
  /** When those that are not believed yet were greeted. */
  readonly #greeted = new Map<string, number>();
  #next: number;
  #nextProbe: number;
  #nextTelling: number;

  constructor(private readonly options: GossipOptions) {
    const { self, random, now } = options;
    this.#self = self;
    this.#random = random;
    this.#life = this.#nonce();
    this.#time = new OwnTime(now);
    this.#round = new Round(random);
    this.#picture = new Picture(self, this.#news, this.#health, (...change) => this.#changed(...change));
    this.#freshness = options.freshness ?? new Freshness();
    this.#loads = options.loads ?? new LoadWindow();
    this.#next = now;
    // Nodes that start together do not keep step.
    this.#nextProbe = random() * PROBE_EVERY_MS;
    this.#nextTelling = this.#nextProbe;
  }

  /** The members are these now, this one among them. */
  review(members: MemberNames): void {
    for (const name of this.#members.names) if (!members.has(name)) this.#forget(name);
    this.#members = members;
    this.#picture.review(members);
    this.#round.review(members);
  }

  standing(node: string): Standing {
    return this.#picture.of(node).standing;
  }

  /** Has anything come from it, or was anything said of it? */
  isHeardOf(node: string): boolean {
    return this.#freshness.has(node) || this.#picture.isSpokenOf(node) || this.#loads.has(node);
  }

  load(node: string, now: number): (Figures & { ageMs: number }) | null {
    return this.#loads.of(node, now);
  }

  /** This node's own load. */
  put(figures: Figures, now: number): void {
    this.#loads.put(this.#self, figures, now);
  }

  /** How much longer than others this node waits at present: 1 where all is well. */
  get patience(): number {
    return this.#health.factor;
  }

  /** When `tick` is to be called next. It may be sooner. */
  get next(): number {
    return this.#next;
  }

  tick(now: number): Outgoing[] {
    if (this.#time.isLate(now)) this.#health.worse();
    const at = this.#time.at(now);
    for (const probe of this.#pings.late(at)) this.#otherWay(probe, at, now);
    for (const { asker, theirs } of this.#pings.expired(at))
      this.#send(asker, { type: 'tried', nonce: theirs, answered: false }, now);
    this.#picture.tick(at);
    for (const node of this.#toTell.splice(0)) this.#greet(node, at, now);
    if (at >= this.#nextProbe) {
      this.#nextProbe = at + PROBE_EVERY_MS * this.#health.factor;
      this.#probe(at, now);
    }
    const isDue = at >= this.#nextTelling;
    if (isDue) {
      this.#nextTelling = at + TELL_EVERY_MS;
      this.#greetDead(at, now);
    }
    const tellTo = this.#news.size > 0 ? NEWS_TO : isDue && this.#members.size > FEW ? 1 : 0;
    for (const node of this.#round.some(tellTo, this.#isOther)) this.#send(node, { type: 'tell' }, now);
    return this.#taken(at, now);
  }

  /** @param from who has signed it */
  receive(from: string, message: Message, now: number): Outgoing[] {
    if (from === this.#self || message.to !== this.#self || !this.#picture.has(from)) return [];
    const at = this.#time.at(now);
    const { life, count, word } = message;
    const verdict = this.#freshness.judge(from, life, count);
    if (verdict === 'new') this.#heed(from, message, at, now);
    else if (verdict === 'unproved') {
      if (word.type === 'ack' && this.#pings.isWaitingFor(from, word.nonce)) {
        this.#freshness.proved(from, life, count);
        this.#heed(from, message, at, now);
        this.#heedKept(from, at, now);
      } else this.#keep(from, message, at, now);
    }
    return this.#taken(at, now);
  }

  /**
   * `from` says this over its link: that it was sent once, just now, is the link's matter. One that has just begun asks
   * for the whole.
   */
  exchange(from: string, telling: Telling, whole: boolean, now: number): Telling {
    if (this.#picture.has(from)) this.#hear(from, telling, this.#time.at(now), now);
    const told = this.#telling(from, now);
    if (!whole) return told;
    const statements = this.#picture.all().slice(0, MOST_NODES);
    return { ...told, statements, loads: this.#loads.all(now, MOST_NODES) };
  }

  /** What to ask a member for the whole with, and its answer. */
  introduction(to: string, now: number): Telling {
    return this.#telling(to, now);
  }

  introduced(by: string, telling: Telling, now: number): void {
    if (this.#picture.has(by)) this.#hear(by, telling, this.#time.at(now), now);
  }

  /** What came of an exchange; null where the link has not answered. */
  linked(node: string, nonce: number, telling: Telling | null, now: number): void {
    const at = this.#time.at(now);
    if (!telling || !this.#picture.has(node)) return;
    this.#hear(node, telling, at, now);
    this.#picture.shown(node, telling.incarnation, at);
    const ping = this.#pings.answered(node, nonce);
    if (ping?.kind === 'probe') this.#health.better();
  }

  #heed(from: string, message: Message, at: number, now: number) {
    this.#hear(from, message, at, now);
    this.#do(from, message, at, now);
  }

  /**
   * It may ask whether this node is there; whatever else it wants waits until it has shown that it is: the first message
   * of a node is often one that asks for help.
   */
  #keep(from: string, message: Message, at: number, now: number) {
    if (message.word.type === 'ping') this.#send(from, { type: 'ack', nonce: message.word.nonce }, now);
    else this.#kept.set(from, { message, at });
    this.#greetOnce(from, at, now);
  }

  #heedKept(from: string, at: number, now: number) {
    const kept = this.#kept.get(from);
    this.#kept.delete(from);
    if (!kept || at - kept.at > ANSWER_MS) return;
    const { life, count } = kept.message;
    if (this.#freshness.judge(from, life, count) === 'new') this.#heed(from, kept.message, at, now);
  }

  readonly #isOther = (name: string) => name !== this.#self && this.standing(name) !== 'dead';

  #taken(at: number, now: number): Outgoing[] {
    const isBusy = this.#pings.size > 0 || this.#news.size > 0 || this.#picture.hasSuspects;
    const rest = isBusy ? TICK_MS : Math.min(this.#nextProbe, this.#nextTelling) - at;
    this.#next = now + rest;
    this.#time.sleepUntil(this.#next);
    const out = this.#out;
    this.#out = [];
    return out;
  }

  #nonce(): number {
    return Math.floor(this.#random() * 2 ** NONCE_BITS);
  }

  #probe(at: number, now: number) {
    const node = this.#round.next(this.#isOther);
    if (node === undefined) return;
    const nonce = this.#nonce();
    const { factor } = this.#health;
    this.#ping(
      nonce,
      { kind: 'probe', node, nonce, begun: at, factor, way: 'direct', silent: new Set() },
      now,
    );
  }

  #ping(nonce: number, ping: Ping, now: number) {
    if (this.#pings.add(nonce, ping)) this.#send(ping.node, { type: 'ping', nonce }, now);
  }

  #changed(node: string, standing: Standing, by: string) {
    // Many who hear of it at once are not to overwhelm it.
    if (standing === 'suspect' && this.#random() * this.#members.size < TOLD_BY) this.#toTell.push(node);
    this.options.changed?.(node, standing, by);
  }

  /** Members that were taken for dead are greeted too, each of them once a second by one of all members on average. */
  #greetDead(at: number, now: number) {
    const dead = [...this.#picture.dead];
    const which = Math.floor(this.#random() * (this.#members.size - 1));
    const node = dead[which];
    if (node !== undefined) this.#greet(node, at, now);
  }

  #greet(node: string, at: number, now: number) {
    this.#ping(this.#nonce(), { kind: 'greeting', node, begun: at }, now);
  }

  #greetOnce(node: string, at: number, now: number) {
    if (at - (this.#greeted.get(node) ?? Number.NEGATIVE_INFINITY) < PROBE_EVERY_MS) return;
    this.#greeted.set(node, at);
    this.#greet(node, at, now);
  }

  /** Straight; then by others; then over the link, which passes where datagrams don't. */
  #otherWay(probe: Probe, at: number, now: number) {
    const { node, nonce } = probe;
    if (probe.way === 'link') return this.#failed(probe, at);
    if (probe.way === 'direct') {
      const helpers = this.#round.some(
        HELPERS,
        (name) => name !== node && name !== this.#self && this.standing(name) === 'alive',
      );
      for (const helper of helpers) this.#send(helper, { type: 'try', nonce, node }, now);
      probe.silent = new Set(helpers);
      probe.way = 'helpers';
      if (helpers.length > 0) return;
    }
    probe.way = 'link';
    this.#out.push({ to: node, exchange: { nonce, telling: this.#telling(node, now) } });
  }

  #failed({ node, nonce, silent }: Probe, at: number) {
    this.#pings.remove(nonce);
    // Helpers that are there would have said something: it may be this node that is not heard.
    if (silent.size > 0) this.#health.worse();
    this.#picture.accuse(node, at);
  }

  #do(from: string, { word, incarnation }: Message, at: number, now: number) {
    if (word.type === 'ping') this.#send(from, { type: 'ack', nonce: word.nonce }, now);
    else if (word.type === 'try') this.#try(from, word, at, now);
    else if (word.type === 'ack') this.#acknowledged(from, word.nonce, incarnation, at, now);
    else if (word.type === 'tried') this.#tried(from, word);
  }

  #acknowledged(from: string, nonce: number, incarnation: number, at: number, now: number) {
    const ping = this.#pings.answered(from, nonce);
    if (!ping) return;
    this.#picture.shown(from, incarnation, at);
    if (ping.kind === 'probe') this.#health.better();
    if (ping.kind === 'errand')
      this.#send(ping.asker, { type: 'tried', nonce: ping.theirs, answered: true }, now);
  }

  #try(asker: string, { nonce, node }: Extract<Word, { type: 'try' }>, at: number, now: number) {
    if (node === this.#self || !this.#picture.has(node)) return;
    this.#ping(this.#nonce(), { kind: 'errand', node, begun: at, asker, theirs: nonce }, now);
  }

  #tried(helper: string, { nonce, answered }: Extract<Word, { type: 'tried' }>) {
    const probe = this.#pings.probe(nonce);
    if (!probe?.silent.delete(helper) || !answered) return;
    this.#pings.remove(nonce);
    this.#health.better();
  }

  #hear(from: string, { incarnation, roster, statements, loads }: Telling, at: number, now: number) {
    if (this.#picture.of(from).incarnation > incarnation) this.#owed.add(from);
    this.#picture.takeOwn(from, incarnation, at);
    for (const statement of statements) this.#picture.take(statement, at);
    for (const record of loads)
      if (record[0] !== this.#self && this.#picture.has(record[0])) this.#loads.take(record, now);
    if (roster > (this.options.roster?.latest() ?? roster)) this.options.roster!.behind(from);
  }

  #send(to: string, word: Word, now: number) {
    const message = { to, life: this.#life, count: ++this.#count, word, ...this.#telling(to, now) };
    this.#out.push({ to, message });
  }

  /** What there is to tell, the member itself first what is said of it. */
  #telling(to: string, now: number): Telling {
    const { fits } = new Room(this.options.room);
    const { standing, incarnation } = this.#picture.of(to);
    const about: Statement = [to, standing, incarnation, standing === 'alive' ? to : this.#self];
    const toItself = (standing !== 'alive' || this.#owed.delete(to)) && fits(about) ? [about] : [];
    const most = timesTold(this.#members.size);
    return {
      incarnation: this.#picture.incarnation,
      roster: this.options.roster?.latest() ?? 0,
      statements: [...toItself, ...this.#news.take(most, fits)],
      loads: this.#loads.newest(now, fits),
    };
  }

  #forget(node: string) {
    this.#freshness.forget(node);
    this.#loads.forget(node);
    this.#pings.forget(node);
    this.#owed.delete(node);
    this.#greeted.delete(node);
    this.#kept.delete(node);
  }
}
