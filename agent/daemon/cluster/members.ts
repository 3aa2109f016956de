import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import type { FixedConfig } from '../../api/config';
import { asGodwitError } from '../../api/errors';
import type { Standing, Telling } from '../../api/membership';
import type { Node, NodeState } from '../../api/model';
import type { Log } from '../../log';
import type { TlsIdentity } from '../../wire/tls';
import type { NodeSaid } from '../balance/known';
import { DATAGRAM_BYTES, Seal } from '../membership/datagram';
import { Gossip, type Outgoing } from '../membership/gossip';
import { MemberNames } from '../membership/names';
import { PROBE_MS, TICK_MS } from '../membership/timing';
import { type Figures, recordOf } from '../membership/window';
import type { Changes } from './changes';
import { Datagrams } from './datagrams';
import type { Peers } from './peers';
import type { Settings } from './settings';

/** How often this node looks at its own load. */
const LOAD_MS = 1_000;
/** One of a few will answer who begins; the others are met in time. */
const INTRODUCTIONS = 3;
const UNPREDICTABLE_BYTES = 6;

const STATES: Record<Standing, NodeState> = { alive: 'up', suspect: 'suspect', dead: 'down' };
const NOTHING_HEARD = { cpus: 0, speed: 0, load: 0, memTotal: 0, memFree: 0, jobs: 0, ageMs: null };

/** 0 ≤ x < 1, of as many bits as a message's numbers have. */
const random = () => randomBytes(UNPREDICTABLE_BYTES).readUIntBE(0, UNPREDICTABLE_BYTES) / 2 ** 48;

/** By an agent of an earlier version, which does not gossip: it is there, and says how it is. */
const statusTold = ({ name, ...figures }: Node): Telling => ({
  ...{ incarnation: 0, roster: 0, statements: [] },
  loads: [recordOf(name, figures)],
});

/**
 * For how long one that is not up has been silent. Each word of a node has its load of that moment with it. Of one that was
 * never heard: since this agent was started.
 */
const silence = (ageMs: number | null, now: number): number => Math.round(ageMs ?? now);

export interface MembersParts {
  config: FixedConfig;
  settings: Settings;
  peers: Peers;
  tls: Pick<TlsIdentity, 'key'>;
  /** This node, as it is now. */
  own: () => Promise<Node>;
  /** Its mark is told with its load. */
  changes: Pick<Changes, 'mark'>;
  /** The latest entry of the list of members that this node has; what to do when `from` has later ones. */
  roster: { latest(): number; behind(from: string): void } | null;
  log: Log;
}

/** Who is in the cluster, by its list of members; and by what these gossip who is up, and how each was lately. */
export class Members {
  readonly #gossip: Gossip;
  readonly #datagrams: Datagrams | null;
  #timer: NodeJS.Timeout | undefined;
  #runs = false;
  #looked = Number.NEGATIVE_INFINITY;
  #own: Node | null = null;
  #looking: Promise<void> | null = null;

  constructor(private readonly parts: MembersParts) {
    const { config, tls, log } = parts;
    const seal = Seal.of(tls.key);
    if (!seal) log.warn("the certificate's key is too large for datagrams: other nodes are asked over TLS");
    this.#gossip = new Gossip({
      ...{ self: config.name, random, now: performance.now(), room: seal?.room ?? DATAGRAM_BYTES },
      ...(parts.roster ? { roster: parts.roster } : {}),
      changed: (node, standing, by) => this.#tell(node, standing, by),
    });
    this.#datagrams =
      seal &&
      new Datagrams({
        ...{ listen: config.listen, seal, log },
        receive: ({ from, message }) => this.#carry(this.#gossip.receive(from, message, performance.now())),
      });
    this.review();
  }

  async start(): Promise<void> {
    this.review();
    await this.#datagrams?.open();
    await this.#look();
    this.#runs = true;
    void this.#beat();
    void this.#introduce();
  }

  stop(): void {
    this.#runs = false;
    clearTimeout(this.#timer);
    this.#datagrams?.close();
  }

  /** The members may be others now. */
  review(): void {
    const { members } = this.parts.settings.now;
    this.#gossip.review(new MemberNames(members.map(({ name }) => name)));
    this.#datagrams?.review(new Map(members.flatMap(({ name, key }) => (key ? [[key, name]] : []))));
  }

  /** This node's own figures are those of now; of the others it says how old they are. */
  async list(): Promise<Node[]> {
    const { settings, config } = this.parts;
    await this.#look();
    const now = performance.now();
    return settings.now.members.map(({ name, address }) => {
      const load = this.#gossip.load(name, now);
      const { ageMs, mark: _, ...figures }: Figures & { ageMs: number | null } = load ?? NOTHING_HEARD;
      if (name === config.name) {
        const own = { ...figures, ...this.#own };
        return { ...own, name, address, state: own.draining ? 'draining' : 'up', age: 0 };
      }
      const state = this.#heard(name, now);
      const age = ageMs === null ? {} : { age: ageMs };
      const silent = state === 'up' ? {} : { silentMs: silence(ageMs, now) };
      const shown = state === 'up' && figures.draining ? 'draining' : state;
      return { ...figures, name, address, state: shown, ...age, ...silent };
    });
  }

  /** As decisions take it. An earlier version's agent says what its jobs use, not what they want. */
  async said(): Promise<NodeSaid[]> {
    return (await this.list()).map(({ name, state, load, age, draining = false, ...figures }) => {
      const { cpus, speed, memTotal, memFree, demand = load, steady = demand } = figures;
      const up = state === 'up' || state === 'draining';
      const said = { cpus, speed, memTotal, memFree, demand, steady };
      return { name, up, draining, ageMs: age ?? Number.POSITIVE_INFINITY, ...said };
    });
  }

  /** Those that are drained, by what was heard of them last; nothing is asked, this node's own load neither. */
  get drained(): string[] {
    const { settings, config } = this.parts;
    const now = performance.now();
    const isDrained = (name: string) =>
      name === config.name ? this.#own?.draining : this.#gossip.load(name, now)?.draining;
    return settings.now.members.flatMap(({ name }) => (isDrained(name) ? [name] : []));
  }

  /** Those that do not answer any more. */
  get down(): string[] {
    const { settings, config } = this.parts;
    const now = performance.now();
    const isDown = (name: string) => name !== config.name && this.#heard(name, now) === 'down';
    return settings.now.members.flatMap(({ name }) => (isDown(name) ? [name] : []));
  }

  /** The mark of its jobs that it told last; undefined of an earlier version, and of one that was not heard. */
  mark(name: string): number | undefined {
    return this.#gossip.load(name, performance.now())?.mark;
  }

  state(name: string): NodeState {
    const { settings, config } = this.parts;
    if (!settings.now.members.some((member) => member.name === name)) return 'down';
    return name === config.name ? 'up' : this.#heard(name, performance.now());
  }

  /** Of another member. */
  #heard(name: string, now: number): NodeState {
    const state = STATES[this.#gossip.standing(name)];
    // Of a new one nothing is known that it could be chosen for.
    return state === 'up' && !this.#gossip.load(name, now) ? 'suspect' : state;
  }

  /** For how long it has not answered; null of one that is up. */
  silentMs(name: string): number | null {
    if (this.state(name) === 'up') return null;
    const now = performance.now();
    return silence(this.#gossip.load(name, now)?.ageMs ?? null, now);
  }

  /** What another node says over its link, and what this one says to that. */
  exchange(from: string, telling: Telling, whole: boolean): Telling {
    return this.#gossip.exchange(from, telling, whole, performance.now());
  }

  /** What is to be done now; its own load is looked at before it is told. */
  async #beat() {
    // Nothing that the machine is asked for may hold this up.
    this.#wakeIn(TICK_MS);
    if (!this.#looking && performance.now() - this.#looked >= LOAD_MS - TICK_MS) await this.#look();
    this.#carry(this.#gossip.tick(performance.now()));
  }

  #wakeIn(ms: number) {
    clearTimeout(this.#timer);
    if (this.#runs) this.#timer = setTimeout(() => void this.#beat(), ms);
  }

  /** At its own load: once at a time, for all who want to know. */
  #look(): Promise<void> {
    this.#looking ??= this.#lookOnce().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async #lookOnce() {
    this.#looked = performance.now();
    try {
      this.#own = await this.parts.own();
      this.#gossip.put({ ...this.#own, mark: this.parts.changes.mark }, performance.now());
    } catch {
      // The figures that are known grow older.
    }
  }

  #carry(outgoing: Outgoing[]) {
    for (const out of outgoing) {
      if ('message' in out) this.#send(out);
      else void this.#ask(out);
    }
    // Nothing is due sooner; a timer each quarter of a second would be most of what a node at rest does.
    this.#wakeIn(Math.max(0, this.#gossip.next - performance.now()));
  }

  #send({ to, message }: Extract<Outgoing, { message: unknown }>) {
    const member = this.parts.settings.now.members.find(({ name }) => name === to);
    if (member) void this.#datagrams?.send(member.address, member.port, message);
  }

  async #ask({ to, exchange: { nonce, telling } }: Extract<Outgoing, { exchange: unknown }>) {
    const answer = await this.#call(to, telling, false);
    this.#gossip.linked(to, nonce, answer, performance.now());
  }

  async #call(to: string, telling: Telling, whole: boolean): Promise<Telling | null> {
    const { peers } = this.parts;
    const within = { timeoutMs: PROBE_MS };
    try {
      return (await peers.call(to, 'node.gossip', { telling, whole }, within)).telling;
    } catch (error) {
      if (asGodwitError(error).code !== 'no-such-method') return null;
      return peers.call(to, 'node.status', {}, within).then(statusTold, () => null);
    }
  }

  /** Has a member that answers tell all that it knows: it would take a while to hear it piece by piece. */
  async #introduce() {
    const { peers, config } = this.parts;
    const others = peers.names.filter((name) => name !== config.name);
    for (let left = INTRODUCTIONS; left > 0 && others.length > 0; left--) {
      const [to] = others.splice(Math.floor(random() * others.length), 1) as [string];
      const answer = await this.#call(to, this.#gossip.introduction(to, performance.now()), true);
      if (answer) return this.#gossip.introduced(to, answer, performance.now());
    }
  }

  #tell(node: string, standing: Standing, by: string) {
    const { log } = this.parts;
    if (standing === 'dead') log(`${node} is down: it does not answer`, { peer: node });
    else if (standing === 'suspect') log.debug(`${node} does not answer, says ${by}`, { peer: node });
    else log.debug(`${node} answers`, { peer: node });
  }
}

/** The loop's time on the machine that is called 1.0, in milliseconds. */
const REFERENCE_LOOP_MS = 14.2;

/**
 * Single-thread speed relative to the reference, by the CPU time that a loop takes: how much of that a node gets is
 * `cpus`, and what else it has to do is its demand. The best of a few, as other work takes caches and clock rates.
 */
export function measureSpeed(): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    const begun = process.threadCpuUsage();
    let x = 1;
    for (let i = 0; i < 2_000_000; i++) x = (x * 1103515245 + 12345) & 0x7fffffff;
    const { user, system } = process.threadCpuUsage(begun);
    if (x >= 0) best = Math.min(best, (user + system) / 1_000);
  }
  return Math.round((100 * REFERENCE_LOOP_MS) / best) / 100;
}

/** The CPUs that this node has to offer. */
export const cpusOf = (config: FixedConfig) => config.cpus ?? availableParallelism();
