import { availableParallelism, freemem, totalmem } from 'node:os';
import type { FixedConfig } from '../../api/config';
import type { Node, NodeState } from '../../api/model';
import type { Peers } from './peers';
import type { Settings } from './settings';

/** Often enough for people to see a node go, rarely enough to cost nothing. */
const HEARTBEAT_MS = 1_000;
/** Two heartbeats missed: shown. Ten: no job is sent there. */
const SUSPECT_MS = 2_500;
const DOWN_MS = 10_000;

interface Member {
  status: Node | null;
  /** When it answered last, on this node's monotonic clock. */
  answered: number;
}

/** Who is in the cluster, and how each was when it answered last. */
export class Members {
  readonly #members = new Map<string, Member>();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly node: string,
    private readonly settings: Settings,
    private readonly peers: Peers,
    private readonly own: () => Promise<Node>,
  ) {}

  start() {
    const beat = async () => {
      const { names } = this.peers;
      for (const name of this.#members.keys()) if (!names.includes(name)) this.#members.delete(name);
      await Promise.all(names.map((name) => this.#ask(name)));
      this.#timer = setTimeout(beat, HEARTBEAT_MS);
    };
    void beat();
  }

  stop() {
    clearTimeout(this.#timer);
  }

  async list(): Promise<Node[]> {
    await this.#ask(this.node);
    return this.settings.now.members.map(({ name, address }) => {
      const { status } = this.#member(name);
      const unheard = { cpus: 0, speed: 0, load: 0, memTotal: 0, memFree: 0, jobs: 0 };
      const silentMs = this.silentMs(name);
      const silent = silentMs === null ? {} : { silentMs };
      return { ...unheard, ...status, name, address, state: this.state(name), ...silent };
    });
  }

  state(name: string): NodeState {
    if (!this.peers.names.includes(name)) return 'down';
    const { status, answered } = this.#member(name);
    const silent = performance.now() - answered;
    if (silent >= DOWN_MS) return 'down';
    return silent >= SUSPECT_MS || !status ? 'suspect' : 'up';
  }

  /** For how long it has not answered; null of one that is up. */
  silentMs(name: string): number | null {
    if (this.state(name) === 'up') return null;
    // Since this agent was started, of one that is no member.
    const answered = this.peers.names.includes(name) ? this.#member(name).answered : 0;
    return Math.round(performance.now() - answered);
  }

  /** One that is new has as long to answer as one that has stopped answering. */
  #member(name: string): Member {
    const member = this.#members.get(name) ?? { status: null, answered: performance.now() };
    this.#members.set(name, member);
    return member;
  }

  async #ask(name: string) {
    try {
      const status =
        name === this.node
          ? await this.own()
          : await this.peers.call(name, 'node.status', {}, { timeoutMs: 2 * HEARTBEAT_MS });
      this.#members.set(name, { status, answered: performance.now() });
    } catch {
      // The state follows from when it answered last.
    }
  }
}

/** The loop's time on the machine that is called 1.0, in milliseconds. */
const REFERENCE_LOOP_MS = 160;

/** Single-thread speed relative to the reference; the best of a few, for a busy machine only ever makes it slower. */
export function measureSpeed(): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 3; round++) {
    const begun = performance.now();
    let x = 1;
    for (let i = 0; i < 20_000_000; i++) x = (x * 1103515245 + 12345) & 0x7fffffff;
    if (x >= 0) best = Math.min(best, performance.now() - begun);
  }
  return Math.round((100 * REFERENCE_LOOP_MS) / best) / 100;
}

/** What this node has to offer. */
export const capacity = (config: FixedConfig) => ({
  cpus: config.cpus ?? availableParallelism(),
  memTotal: totalmem(),
  memFree: freemem(),
});

/** The node with the most speed to spare; the first of equals. */
export function bestOf(nodes: Node[]): Node | undefined {
  const spare = ({ cpus, load, jobs, speed }: Node) => (cpus - Math.max(load, jobs)) * speed;
  return nodes
    .filter(({ state }) => state === 'up')
    .reduce<Node | undefined>((best, node) => (!best || spare(node) > spare(best) ? node : best), undefined);
}
