/** Which obstacles to a move can be cleared away from the editor, by one button. No `vscode` here: it is tested as it is. */

/** What the editor can do about it. */
export type Remedy = 'choose-another-node' | 'end-debug-session' | 'unpin';

/** Of the destination: another node may do. */
const OF_THE_NODE = new Set([
  'allocation-full',
  'allocation-required',
  'allocations-unclear',
  'allocations-unknown',
  'architecture',
  'cpu-features',
  'criu-version',
  'disk-full',
  'ids-refused',
  'kernel-version',
  'limit-unavailable',
  'no-criu',
  'no-memory',
  'no-network',
  'node-draining',
  'node-unreachable',
  'not-accepted',
  'outside-allocation',
  'ping-group',
  'port-taken',
  'root-jobs-refused',
  'wrong-version',
]);
/** Of the debugger: without it the job moves. */
const OF_THE_DEBUGGER = new Set([
  'debugger-at-fork',
  'debugger-away',
  'debugger-holds-several',
  'debugger-will-not-let-go',
  'debugger-will-not-settle',
  'debugger-will-not-stop',
]);

/** The one for all of them together, by their codes; null where what stays in the way would make it useless. */
export function remedyFor(codes: readonly string[]): Remedy | null {
  if (codes.length === 0) return null;
  if (codes.every((code) => code === 'pinned')) return 'unpin';
  if (codes.every((code) => OF_THE_NODE.has(code))) return 'choose-another-node';
  if (codes.every((code) => OF_THE_DEBUGGER.has(code))) return 'end-debug-session';
  return null;
}
