/**
 * A cluster of three nodes with one job, simulated: physical copies, durable notes, a ledger at the home, words on
 * connections that break, agents that die between any two steps. Every event is one action of `actions()`; the
 * test that chooses among them decides the order of everything.
 */
import { type Entry, enter, type Ledger, launchedOn, nextMove } from '../../agent/daemon/journal/ledger';
import type { Note } from '../../agent/daemon/journal/notes';
import {
  type DestinationEffect,
  type DestinationInput,
  destinationAtRest,
  stepDestination,
} from '../../agent/daemon/migration/destination';
import {
  free,
  type HomeEffect,
  type HomeInput,
  homeAtRest,
  stepHome,
} from '../../agent/daemon/migration/home';
import type {
  FromDestination,
  FromSource,
  Outcome,
  Presence,
  ToDestination,
  ToSource,
} from '../../agent/daemon/migration/messages';
import {
  type SourceEffect,
  type SourceInput,
  sourceAtRest,
  stepSource,
} from '../../agent/daemon/migration/source';

export interface Machines {
  home: typeof stepHome;
  source: typeof stepSource;
  destination: typeof stepDestination;
}
export const machines: Machines = { home: stepHome, source: stepSource, destination: stepDestination };

export const NODES = ['a', 'b', 'c'] as const;
export type NodeId = (typeof NODES)[number];
export const HOME: NodeId = 'a';

/** `lived`: how often the job had been set running when this copy last ran. */
interface Copy {
  state: 'running' | 'frozen';
  lived: number;
}

type Word =
  | { to: 'source'; message: ToSource }
  | { to: 'destination'; message: ToDestination }
  | { to: 'home'; role: 'source'; message: FromSource }
  | { to: 'home'; role: 'destination'; message: FromDestination }
  | { to: 'home'; role: 'asks'; epoch: number }
  | { to: 'answer'; epoch: number; outcome: Outcome; as?: number };

interface Connection {
  from: NodeId;
  to: NodeId;
  life: number;
  words: Word[];
}

/** What an executor is doing: the physical act, then the report of it. */
interface Work {
  epoch: number;
  doing: 'park-freeze-dump' | 'thaw-unpark' | 'kill-copy' | 'prepare' | 'restore' | 'unpark-thaw';
  stage: number;
}

type Write =
  | { type: 'note'; role: 'source' | 'destination'; note: Note }
  | { type: 'clear'; role: 'source' | 'destination'; epoch: number }
  | { type: 'entry'; entry: Entry };

interface Agent {
  home: typeof homeAtRest;
  source: typeof sourceAtRest;
  destination: typeof destinationAtRest;
  up: boolean;
  /** Not on the disk yet, in order; then on the disk, and not reported yet. */
  writes: Write[];
  reports: { write: Write; ledger: Ledger }[];
  work: { source: Work | null; destination: Work | null };
  cuts: NodeId[];
}

export interface Action {
  name: string;
  /** How much more often than others a fair chooser takes it. */
  weight: number;
  fault: boolean;
  run(): void;
}

const figures = { park: 0, frozenAfter: 0, dump: 0, transfer: 0, bytes: 0 };

export class World {
  readonly copies: Record<NodeId, Copy | null> = { a: null, b: null, c: null };
  readonly images: Record<NodeId, { epoch: number; lived: number } | null> = { a: null, b: null, c: null };
  readonly notes: Record<NodeId, Note | null> = { a: null, b: null, c: null };
  readonly agents: Record<NodeId, Agent>;
  ledger: Ledger;
  connections: Connection[] = [];
  /** How often a copy of the job was set running. */
  lives = 1;
  /** Copies that the world took, not the machines. */
  deaths = 0;
  readonly fates = new Map<number, 'committed' | 'aborted'>();
  readonly trace: string[] = [];
  readonly reports: string[] = [];
  stranded = 0;
  /** A person gave an old copy its life back. */
  private adopted = false;
  /** It was let run while the destination may have been running: two run until that one hears of it. */
  private doubled = false;
  /** A person gave up what may have run. */
  private givenUp = false;

  constructor(
    host: NodeId,
    private readonly machine: Machines = machines,
  ) {
    this.ledger = launchedOn(host, 0);
    this.copies[host] = { state: 'running', lived: 1 };
    this.notes[host] = { state: 'hosting', epoch: 0 };
    this.agents = { a: newAgent(), b: newAgent(), c: newAgent() };
    for (const node of NODES) this.start(node);
  }

  actions(faults: boolean): Action[] {
    const found: Action[] = [];
    const add = (name: string, weight: number, fault: boolean, run: () => void) => {
      if (faults || !fault) found.push({ name, weight, fault, run });
    };
    this.connections.forEach((connection) => {
      const { from, to, words } = connection;
      if (words.length === 0 || !this.agents[to].up) return;
      const name = `${from}>${to} ${describe(words[0]!)}`;
      add(name, 8, false, () => this.deliver(to, from, words.shift()!));
      add(`${name} twice`, 1, true, () => this.deliver(to, from, words[0]!));
    });
    for (const node of NODES) this.nodeActions(node, add);
    for (const [one, other] of [
      ['a', 'b'],
      ['a', 'c'],
    ] as const) {
      const live = this.connections.some(
        ({ from, to, words }) => words.length > 0 && pair(from, to, one, other),
      );
      if (live) add(`cut ${one}-${other}`, 1, true, () => this.cut(one, other));
      if (live) add(`cut ${one}-${other} late`, 1, true, () => this.cutLate(one, other));
    }
    const home = this.agents[HOME];
    if (home.up) {
      if (faults && home.home.at === 'idle' && !this.ledger.lost && this.ledger.open === null) {
        for (const to of NODES) {
          if (to === this.ledger.host || !free(home.home, to)) continue;
          add(`migrate to ${to}`, 2, false, () => {
            this.home({ type: 'migrate', move: nextMove(this.ledger, to, 'stop') });
          });
        }
      }
      const cut = home.home.at === 'thawing';
      if (home.home.at === 'lost' || cut) {
        add('adopt', 1, true, () => {
          this.adopted = true;
          this.doubled ||= cut;
          this.home({ type: 'adopt' });
        });
        add('forget', 1, cut, () => {
          this.givenUp ||= cut;
          this.home({ type: 'forget' });
        });
      }
      add('cancel', 1, true, () => this.home({ type: 'cancel', reason: 'cancelled' }));
      add('timeout', 1, true, () => this.home({ type: 'timeout' }));
    }
    return found;
  }

  private nodeActions(
    node: NodeId,
    add: (name: string, weight: number, fault: boolean, run: () => void) => void,
  ) {
    const agent = this.agents[node];
    const copy = this.copies[node];
    if (!agent.up) {
      if (copy && this.notes[node]?.state !== 'hosting') {
        add(`copy on ${node} dies`, 1, true, () => this.die(node));
      }
      return add(`start ${node}`, 4, false, () => this.start(node));
    }
    add(`crash ${node}`, 1, true, () => this.crash(node));
    // A running copy that dies is a job that ended, unless it is not known yet that it ran.
    const moving =
      agent.source.at === 'thawing' || agent.source.at === 'sending' || agent.destination.at === 'thawing';
    const unsure = moving && this.notes[node]?.state !== 'hosting';
    if (copy && (copy.state === 'frozen' || unsure))
      add(`copy on ${node} dies`, 1, true, () => this.die(node));
    if (agent.writes.length > 0) add(`${node} writes`, 8, false, () => this.writeOne(node));
    if (agent.reports.length > 0) add(`${node} wrote`, 8, false, () => this.wrote(node));
    if (agent.cuts.length > 0) add(`${node} sees the cut`, 4, false, () => this.seeCut(node));
    for (const role of ['source', 'destination'] as const) {
      const work = agent.work[role];
      if (!work) continue;
      add(`${node} ${work.doing} ${work.epoch}.${work.stage}`, 8, false, () =>
        this.labour(node, role, false),
      );
      // A thaw either happens or does not: once the copy runs, it can't fail any more.
      const sure = work.doing === 'unpark-thaw' && copy?.state === 'running';
      if (!sure && work.doing !== 'kill-copy' && work.doing !== 'thaw-unpark') {
        add(`${node} fails ${work.doing} ${work.epoch}.${work.stage}`, 1, true, () =>
          this.labour(node, role, true),
        );
      }
    }
    if (waiting(agent)) add(`${node} retries`, 1, true, () => this.retry(node));
  }

  /** No more faults: everything that can happen happens, until nothing does. Answers how many steps it took. */
  heal(bound: number): number {
    let steps = 0;
    for (let quiet = 0; quiet < 2; ) {
      const next = this.actions(false)[0];
      if (next) {
        this.take(next);
        if (++steps > bound) throw new Error(`not at rest after ${bound} steps`);
        continue;
      }
      const before = this.trace.length;
      if (this.agents[HOME].home.at !== 'idle') this.home({ type: 'timeout' });
      for (const node of NODES) this.retry(node);
      quiet = this.actions(false).length === 0 ? quiet + 1 : 0;
      if (this.trace.length - before > bound) throw new Error('never quiet');
      if (++steps > bound) throw new Error(`not at rest after ${bound} steps`);
      if (quiet === 0) continue;
    }
    return steps;
  }

  take(action: Action): void {
    this.trace.push(action.name);
    action.run();
    this.check();
  }

  /** What must hold at every moment. */
  check(): void {
    const running = NODES.filter((node) => this.copies[node]?.state === 'running');
    if (running.length > 1 && !this.doubled) throw new Error(`two copies run: ${running.join(' and ')}`);
    const copies = NODES.filter((node) => this.copies[node] !== null);
    if (copies.length === 0 && this.deaths === 0 && !this.givenUp)
      throw new Error('no copy is left, and none was taken');
    if (this.ledger.lost && this.deaths === 0 && !this.givenUp)
      throw new Error('said lost, and nothing died');
    if (this.ledger.epoch > this.ledger.attempted) throw new Error('an epoch out of nowhere');
  }

  /** What must hold when all is healed. */
  checkAtRest(): void {
    const { ledger } = this;
    const state = JSON.stringify({ ledger, copies: this.copies, notes: this.notes, at: this.states() });
    if (this.ledger.open || this.ledger.debts.length > 0) throw new Error(`the move is not over: ${state}`);
    if (this.stranded > 0) throw new Error(`stranded: ${state}`);
    for (const node of NODES) {
      const hosts = !this.ledger.lost && node === this.ledger.host;
      if ((this.copies[node]?.state === 'running') !== hosts)
        throw new Error(`${node} should ${hosts ? '' : 'not '}run it: ${state}`);
      if (!hosts && this.copies[node]) throw new Error(`a copy is left on ${node}: ${state}`);
      const note = hosts ? JSON.stringify({ state: 'hosting', epoch: this.ledger.epoch }) : 'null';
      if (JSON.stringify(this.notes[node]) !== note)
        throw new Error(`the note on ${node} should be ${note}: ${state}`);
    }
  }

  states(): string {
    return NODES.map((node) => {
      const { home, source, destination } = this.agents[node];
      return `${node}: ${node === HOME ? `${home.at} ` : ''}${source.at} ${destination.at}`;
    }).join(', ');
  }

  home(input: HomeInput): void {
    const agent = this.agents[HOME];
    const { state, effects } = this.machine.home(agent.home, input);
    agent.home = state;
    for (const effect of effects) this.homeEffect(effect);
  }

  private homeEffect(effect: HomeEffect) {
    switch (effect.do) {
      case 'write':
        this.agents[HOME].writes.push({ type: 'entry', entry: effect.entry });
        return;
      case 'notify-source':
        return this.send(HOME, effect.node as NodeId, { to: 'source', message: effect.message });
      case 'notify-destination':
        return this.send(HOME, effect.node as NodeId, { to: 'destination', message: effect.message });
      case 'answer-outcome': {
        const { epoch } = effect;
        return this.send(HOME, effect.node as NodeId, { to: 'answer', epoch, ...this.outcome(epoch) });
      }
      case 'report':
        this.reports.push(effect.outcome);
        return;
      case 'stranded':
        // An executor's failure to thaw is told and tried again; anything else has no place here.
        if (!effect.reason.includes("can't thaw")) this.stranded++;
        return;
      default:
    }
  }

  /** As the journal's table of epochs answers it. */
  private outcome(epoch: number): { outcome: Outcome; as?: number } {
    const { open } = this.ledger;
    if (open?.move.epoch === epoch && open.outcome === 'moving') return { outcome: 'moving' };
    const as = this.returned.get(epoch);
    if (as !== undefined) return { outcome: 'returned', as };
    return { outcome: this.fates.get(epoch) ?? 'unknown' };
  }
  private readonly returned = new Map<number, number>();

  source(node: NodeId, input: SourceInput): void {
    const agent = this.agents[node];
    const { state, effects } = this.machine.source(agent.source, input);
    agent.source = state as typeof agent.source;
    for (const effect of effects) this.nodeEffect(node, 'source', effect);
  }

  destination(node: NodeId, input: DestinationInput): void {
    const agent = this.agents[node];
    const { state, effects } = this.machine.destination(agent.destination, input);
    agent.destination = state as typeof agent.destination;
    for (const effect of effects) this.nodeEffect(node, 'destination', effect);
  }

  private nodeEffect(node: NodeId, role: 'source' | 'destination', effect: SourceEffect | DestinationEffect) {
    const agent = this.agents[node];
    switch (effect.do) {
      case 'note':
        agent.writes.push({ type: 'note', role, note: effect.note });
        return;
      case 'clear':
        agent.writes.push({ type: 'clear', role, epoch: effect.epoch });
        return;
      case 'park-freeze-dump':
        agent.work.source = { doing: effect.do, epoch: effect.order.epoch, stage: 0 };
        return;
      case 'prepare':
        agent.work.destination = { doing: effect.do, epoch: effect.order.epoch, stage: 0 };
        return;
      case 'thaw-unpark':
      case 'restore':
      case 'unpark-thaw':
      case 'kill-copy':
        agent.work[role] = { doing: effect.do, epoch: effect.epoch, stage: 0 };
        return;
      case 'reply':
        return this.send(node, HOME, { to: 'home', role, message: effect.message } as Word);
      case 'ask':
        return this.send(node, HOME, { to: 'home', role: 'asks', epoch: effect.epoch });
      case 'stranded':
        this.stranded++;
        return;
      default:
    }
  }

  private send(from: NodeId, to: NodeId, word: Word): void {
    let connection = this.connections.findLast((one) => one.from === from && one.to === to);
    if (!connection || connection.life < 0) {
      connection = { from, to, life: 0, words: [] };
      this.connections.push(connection);
    }
    connection.words.push(structuredClone(word));
    this.connections = this.connections.filter(({ words, life }) => life >= 0 || words.length > 0);
  }

  private deliver(node: NodeId, from: NodeId, word: Word) {
    switch (word.to) {
      case 'source':
        return this.source(node, word.message);
      case 'destination':
        return this.destination(node, word.message);
      case 'answer': {
        const { epoch, outcome } = word;
        this.source(node, {
          type: 'outcome',
          epoch,
          outcome,
          ...(word.as === undefined ? {} : { returned: word.as }),
        });
        return this.destination(node, { type: 'outcome', epoch, outcome });
      }
      case 'home':
        if (word.role === 'asks') return this.home({ type: 'asked', node: from, epoch: word.epoch });
        if (word.role === 'source')
          return this.home({ type: 'from-source', node: from, message: word.message });
        return this.home({ type: 'from-destination', node: from, message: word.message });
    }
  }

  private writeOne(node: NodeId): void {
    const agent = this.agents[node];
    const write = agent.writes.shift()!;
    if (write.type === 'entry') this.enterLedger(write.entry);
    else this.notes[node] = write.type === 'note' ? write.note : null;
    agent.reports.push({ write, ledger: this.ledger });
  }

  private enterLedger(entry: Entry): void {
    this.ledger = enter(this.ledger, entry);
    if (entry.type === 'returned') this.returned.set(entry.of, entry.epoch);
    if (entry.type !== 'commit' && entry.type !== 'abort') return;
    const fate = entry.type === 'commit' ? 'committed' : 'aborted';
    if (this.fates.has(entry.epoch))
      throw new Error(`epoch ${entry.epoch} was ${this.fates.get(entry.epoch)}, now ${fate}`);
    this.fates.set(entry.epoch, fate);
  }

  private wrote(node: NodeId) {
    const { write, ledger } = this.agents[node].reports.shift()!;
    if (write.type === 'entry') return this.home({ type: 'written', entry: write.entry, ledger });
    const input =
      write.type === 'note'
        ? ({ type: 'noted', note: write.note } as const)
        : ({ type: 'cleared', epoch: write.epoch } as const);
    if (write.role === 'source') this.source(node, input);
    else this.destination(node, input);
  }

  private labour(node: NodeId, role: 'source' | 'destination', fails: boolean) {
    const { work } = this.agents[node];
    const { doing, epoch, stage } = work[role]!;
    if (stage === 1 || fails) work[role] = null;
    else work[role]!.stage++;
    const reason = `${doing} failed`;
    const copy = this.copies[node];
    switch (doing) {
      case 'park-freeze-dump': {
        if (fails) return this.source(node, { type: 'dump-failed', epoch, reason });
        if (!copy) return this.source(node, { type: 'dump-failed', epoch, reason: 'no copy' });
        copy.state = 'frozen';
        if (stage === 0) return;
        const to = this.ledger.open?.move.to as NodeId | undefined;
        if (to) this.images[to] = { epoch, lived: copy.lived };
        return this.source(node, { type: 'dumped', epoch, figures });
      }
      case 'thaw-unpark':
        if (stage === 1) return this.source(node, { type: 'unparked', epoch });
        if (!copy) {
          work[role] = null;
          return this.source(node, { type: 'copy-died', reason: 'there is none' });
        }
        if (copy.state === 'frozen') this.live(node, copy);
        return;
      case 'kill-copy':
        if (stage === 0) return this.kill(node, role);
        if (role === 'source') return this.source(node, { type: 'killed', epoch });
        return this.destination(node, { type: 'killed', epoch });
      case 'prepare':
        if (fails) return this.destination(node, { type: 'executor-failed', epoch, reason });
        if (stage === 0) return;
        return this.destination(node, { type: 'ready', epoch, pages: 'p', images: 'i' });
      case 'restore': {
        const image = this.images[node];
        if (fails || image?.epoch !== epoch)
          return this.destination(node, { type: 'executor-failed', epoch, reason });
        if (stage === 1) {
          if (copy) return this.destination(node, { type: 'restored', epoch, figures: { restore: 0 } });
          return this.destination(node, { type: 'executor-failed', epoch, reason });
        }
        if (copy) throw new Error(`restored beside another copy on ${node}`);
        this.copies[node] = { state: 'frozen', lived: image.lived };
        return;
      }
      case 'unpark-thaw':
        if (fails && copy?.state !== 'running')
          return this.destination(node, { type: 'executor-failed', epoch, reason });
        if (stage === 1) return this.destination(node, { type: 'unparked', epoch });
        if (copy?.state === 'frozen') this.live(node, copy);
        return;
    }
  }

  private kill(node: NodeId, role: 'source' | 'destination'): void {
    const last = this.copies[node]?.lived === this.lives && !this.ledger.lost;
    if (role === 'source' && last) throw new Error(`the copy on ${node} is killed before another has lived`);
    this.copies[node] = null;
    this.images[node] = null;
  }

  /** A frozen copy runs on: it has to be the one that ran last. */
  private live(node: NodeId, copy: Copy): void {
    if (copy.lived !== this.lives && !this.adopted) throw new Error(`an old copy is thawed on ${node}`);
    copy.state = 'running';
    copy.lived = ++this.lives;
  }

  private die(node: NodeId): void {
    this.copies[node] = null;
    this.deaths++;
    if (!this.agents[node].up) return;
    // At any other time that is not looked at before the job is to be thawed.
    if (this.agents[node].source.at === 'thawing')
      this.source(node, { type: 'copy-died', reason: 'it died' });
    this.destination(node, { type: 'copy-died' });
  }

  private crash(node: NodeId): void {
    const agent = this.agents[node];
    Object.assign(agent, newAgent(), { up: false });
    for (const connection of this.connections) {
      if (connection.to === node) connection.words.length = 0;
      if (connection.to === node || connection.from === node) connection.life = -1;
    }
    for (const other of NODES) {
      if (other !== node && (other === HOME || node === HOME) && this.agents[other].up)
        this.agents[other].cuts.push(node);
    }
  }

  private start(node: NodeId): void {
    const agent = this.agents[node];
    agent.up = true;
    const note = this.notes[node];
    const copy = this.copies[node];
    const present: Presence = copy === null ? 'none' : copy.state;
    if (node === HOME) this.home({ type: 'restarted', ledger: this.ledger });
    this.source(node, { type: 'restarted', note, present });
    this.destination(node, { type: 'restarted', note, present });
  }

  /** Everything under way is lost. */
  private cut(one: NodeId, other: NodeId): void {
    this.connections = this.connections.filter(({ from, to }) => !pair(from, to, one, other));
    this.announce(one, other);
  }

  /** What is under way still arrives, beside what is said on the next connection. */
  private cutLate(one: NodeId, other: NodeId): void {
    for (const connection of this.connections) {
      if (pair(connection.from, connection.to, one, other)) connection.life = -1;
    }
    this.announce(one, other);
  }

  private announce(one: NodeId, other: NodeId): void {
    if (this.agents[one].up) this.agents[one].cuts.push(other);
    if (this.agents[other].up) this.agents[other].cuts.push(one);
  }

  private seeCut(node: NodeId): void {
    const peer = this.agents[node].cuts.shift()!;
    if (node === HOME) this.home({ type: 'disconnected', node: peer });
    if (peer !== HOME) return;
    this.source(node, { type: 'disconnected' });
    this.destination(node, { type: 'disconnected' });
  }

  private retry(node: NodeId): void {
    if (node === HOME) this.home({ type: 'retry' });
    this.source(node, { type: 'retry' });
    this.destination(node, { type: 'retry' });
  }
}

const newAgent = (): Agent => ({
  home: homeAtRest,
  source: sourceAtRest,
  destination: destinationAtRest,
  up: true,
  writes: [],
  reports: [],
  work: { source: null, destination: null },
  cuts: [],
});

const waiting = ({ home, source, destination }: Agent): boolean =>
  home.at !== 'idle' || home.debts.length > 0 || source.at !== 'idle' || destination.at !== 'idle';

const pair = (from: NodeId, to: NodeId, one: NodeId, other: NodeId): boolean =>
  (from === one && to === other) || (from === other && to === one);

const describe = (word: Word): string => {
  if (word.to === 'answer') return `${word.outcome} ${word.epoch}`;
  return word.to === 'home' && word.role === 'asks'
    ? `outcome? ${word.epoch}`
    : `${word.message.type} ${word.message.epoch}`;
};
