/** The numbers of the policy, each with its reason. */
export interface Rules {
  /** What is left of a job's life is worth so many times what a move of it costs, at least. */
  payback: number;
  /** What is gained is counted over no longer: how loaded nodes are then is not known. */
  farthestMs: number;
  /** Here everything takes at least so many times as long as there: figures are a little wrong, and a little old. */
  gain: number;
  /** Nothing is moved again before that, nor before it has been there for `stayPrices` times what the move took. */
  leastStayMs: number;
  stayPrices: number;
  /** So many nodes at random are looked at: if all looked at all, all would choose the same one of what is old news. */
  lookedAt: number;
}

export const RULES: Rules = {
  payback: 2,
  farthestMs: 60_000,
  gain: 1.25,
  leastStayMs: 5_000,
  stayPrices: 5,
  lookedAt: 16,
};

/** Between two decisions of a home: short beside what a move is worth, long beside what looking costs. */
const ROUND_MS = 2_000;

/** Until the next decision. Homes that decided at the same instant would all see the same idle node. */
export const nextRoundMs = (random: () => number): number => ROUND_MS * (0.5 + random());
