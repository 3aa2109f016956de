/** What a decision is made of: what is known of the nodes, and the jobs of which this node is the home. */

/** What another node said of itself, or this one found of itself. All of it may be wrong, and is taken within bounds. */
export interface NodeSaid {
  name: string;
  /** Since it was so, by this node's own clock alone. */
  ageMs: number;
  up: boolean;
  /** New jobs don't come to it, and those that are there leave. */
  draining: boolean;
  /** CPUs it may use; a quota of a fifth of one makes a slow machine. */
  cpus: number;
  speed: number;
  /** Threads that want to run, of all that runs there: over the last second or so, and over the last twenty. */
  demand: number;
  steady: number;
  /** Bytes. */
  memTotal: number;
  memFree: number;
}

/** A node as decisions take it: within bounds, with what is on its way there, at the speed that it was seen to give. */
export type KnownNode = Omit<NodeSaid, 'ageMs' | 'up'>;

/** A job that calls this node home. */
export interface OwnJob {
  id: string;
  host: string;
  /** Threads that want to run: how much CPU it would take if it were alone, as far as that can be seen. */
  demand: number;
  /** Bytes that travel when it moves. */
  memory: number;
  /** CPU time that it has had since it last stood idle, in milliseconds of the reference machine. */
  usedMs: number;
  /** How long it has been on this host. */
  hereMs: number;
  /** What a move of it is known to take. */
  priceMs: number;
  /** By what share it is slower away from its home's files. */
  away: number;
  /** Why it may not be moved by itself; null if it may. */
  held: Hold | null;
  /** The nodes on which alone it may be; null for all. */
  only: readonly string[] | null;
}

export type Hold = 'pinned' | 'debugged' | 'moving' | 'stopped' | 'off' | 'not-balanced';

/** What is on its way to a node, or has come too lately for the node's record to show it. */
export interface Sent {
  node: string;
  demand: number;
  memory: number;
  /** Since it was sent. */
  ageMs: number;
}

/** Older figures are of no use: a node of which nothing was heard for so long is not chosen. */
export const MOST_AGE_MS = 60_000;
/** More says that a node lies, or that a unit is wrong. */
const MOST_CPUS = 4_096;
const MOST_SPEED = 8;
const LEAST_SPEED = 0.01;
const MOST_DEMAND = 100_000;
const MOST_BYTES = 2 ** 50;

/** A number within bounds, whatever is given for one. */
export const within = (value: number, least: number, most: number): number =>
  Number.isNaN(value) ? least : Math.min(most, Math.max(least, value));

/**
 * The node as it is to be taken; null where nothing can be made of what it said.
 * @param sent what this home has sent to it
 * @param given the share of its speed that it was seen to give (see `given.ts`)
 */
export function known(said: NodeSaid, sent: readonly Sent[] = [], given = 1): KnownNode | null {
  const { name, ageMs, up, draining } = said;
  if (!up || !(ageMs >= 0 && ageMs <= MOST_AGE_MS)) return null;
  if (!(said.cpus > 0 && said.speed > 0 && said.memTotal > 0)) return null;
  const memTotal = within(said.memTotal, 1, MOST_BYTES);
  // Its record was made before these came, or while they were on their way.
  const coming = sent.filter((one) => one.ageMs <= ageMs + SEEN_AFTER_MS);
  const more = (of: (one: Sent) => number) => coming.reduce((sum, one) => sum + of(one), 0);
  return {
    name,
    draining,
    cpus: within(said.cpus, 0.01, MOST_CPUS),
    speed: within(said.speed, LEAST_SPEED, MOST_SPEED) * within(given, 0, 1),
    demand: within(said.demand, 0, MOST_DEMAND) + more(({ demand }) => demand),
    steady: within(said.steady, 0, MOST_DEMAND) + more(({ demand }) => demand),
    memTotal,
    memFree: within(within(said.memFree, 0, memTotal) - more(({ memory }) => memory), 0, memTotal),
  };
}

/** Demand is an average: it takes so long until a job that has come is wholly in it. */
export const SEEN_AFTER_MS = 3_000;

/**
 * Where a job is, the load that is there to stay counts, for most of what comes soon ends; where it would go, what is
 * there now does as well.
 */
export const asSource = (node: KnownNode): KnownNode => ({
  ...node,
  demand: Math.min(node.demand, node.steady),
});
export const asDestination = (node: KnownNode): KnownNode => ({
  ...node,
  demand: Math.max(node.demand, node.steady),
});

/** What this home's own jobs take of a node, as it knows by itself. */
export interface Own {
  demand: number;
  memory: number;
}

/** A node that has jobs of ours can't be as idle as without them, whatever it says. */
const atLeast = (node: KnownNode, { demand, memory }: Own): KnownNode => ({
  ...node,
  demand: Math.max(node.demand, demand),
  steady: Math.max(node.steady, demand),
  memFree: Math.max(0, Math.min(node.memFree, node.memTotal - memory)),
});

/** Those of which something is known. @param given the share of its speed that a node was seen to give */
export function knownNodes(
  nodes: readonly NodeSaid[],
  sent: readonly Sent[],
  given: (node: string) => number,
  own: ReadonlyMap<string, Own> = new Map(),
): KnownNode[] {
  const to = new Map<string, Sent[]>();
  for (const one of sent) {
    const others = to.get(one.node);
    if (others) others.push(one);
    else to.set(one.node, [one]);
  }
  return nodes.flatMap((said) => {
    const node = known(said, to.get(said.name), given(said.name));
    const ours = own.get(said.name);
    return node ? [ours ? atLeast(node, ours) : node] : [];
  });
}
