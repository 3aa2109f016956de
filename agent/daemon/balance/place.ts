/** Where a job is to begin: by the same cost as that by which it is moved. */
import { hasRoom, type Load, marginal, stretch } from './cost';
import { type KnownNode, knownNodes, type NodeSaid, type Sent } from './known';

export interface Placing extends Load {
  /** The home to be. */
  self: string;
  nodes: readonly NodeSaid[];
  sent: readonly Sent[];
  given: (node: string) => number;
  /** The nodes on which alone it may be; null for all. */
  only: readonly string[] | null;
  /** By what share it is slower away from its home's files. */
  away: number;
  lookedAt: number;
  random: () => number;
}

/** Nothing is known yet of a job that has not begun: one thread, and this much memory. */
export const UNKNOWN_JOB: Load = { demand: 1, memory: 64 * 1024 * 1024 };

/** The best place of some at random and of home; null where none may be, or none is known. */
export const place = (placing: Placing): string | null => ranked(placing)[0] ?? null;

/** These places, the best first; those that have no memory left come into it only where none has. */
export function ranked(placing: Placing): string[] {
  const { self, nodes, sent, given, only, away, lookedAt, random } = placing;
  const fit = knownNodes(nodes, sent, given).filter(
    ({ name, draining }) => !draining && (only?.includes(name) ?? true),
  );
  const home = fit.filter(({ name }) => name === self);
  const others = fit.filter(({ name }) => name !== self);
  const looked = [...home, ...some(others, lookedAt, random)];
  const roomy = looked.filter((node) => hasRoom(node, placing.memory));
  const costOf = (node: KnownNode) => {
    const far = node.name === self ? 1 : 1 + away;
    return far * (marginal(node, placing) + stretch(node, placing) * TIE);
  };
  return inOrder(roomy.length > 0 ? roomy : looked, costOf).map(({ name }) => name);
}

/** Of places that cost the others the same, the one that is quicker for the job itself. */
const TIE = 1e-6;

const some = <T>(all: readonly T[], most: number, random: () => number): T[] =>
  all.length <= most ? [...all] : Array.from({ length: most }, () => all[Math.floor(random() * all.length)]!);

/** Of equals the first; one of which nothing can be reckoned is left out. */
function inOrder<T>(all: readonly T[], of: (one: T) => number): T[] {
  const valued = [...new Set(all)].map((one) => ({ one, value: of(one) }));
  const known = valued.filter(({ value }) => value < Number.POSITIVE_INFINITY);
  return known.sort((a, b) => a.value - b.value).map(({ one }) => one);
}
