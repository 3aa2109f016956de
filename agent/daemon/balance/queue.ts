/** Whose turn it is: the policy of the queue, as pure functions. */

/** A job that waits for room. */
export interface Waiting {
  job: string;
  /** Its user's number. */
  user: number;
}

/**
 * The order in which they come: users in turn, of each the one that has waited longest. A user with many jobs in the queue
 * does not keep the others waiting for all of them.
 * @param waiting in the order in which they came
 * @param served users by their latest turn, the latest last; those who had none come first
 */
export function fairOrder<W extends Waiting>(waiting: readonly W[], served: readonly number[]): W[] {
  const byUser = new Map<number, W[]>();
  for (const one of waiting) {
    const others = byUser.get(one.user);
    if (others) others.push(one);
    else byUser.set(one.user, [one]);
  }
  const turn = (user: number) => served.lastIndexOf(user);
  // Sorting keeps the order of those who had no turn: as they came.
  const users = [...byUser.keys()].sort((one, other) => turn(one) - turn(other));
  const rounds = Math.max(0, ...[...byUser.values()].map((theirs) => theirs.length));
  return Array.from({ length: rounds }, (_, round) => users.map((user) => byUser.get(user)![round]))
    .flat()
    .filter((one) => one !== undefined);
}

/** The same list after this user's turn: each user is in it once. */
export const afterTurn = (served: readonly number[], user: number): number[] => [
  ...served.filter((one) => one !== user),
  user,
];

/**
 * The nodes that a job may take now: none for which an earlier one waits, which would wait for ever where smaller ones
 * always came first.
 */
export const unclaimed = (nodes: readonly string[], claimed: ReadonlySet<string>): string[] =>
  nodes.filter((node) => !claimed.has(node));
