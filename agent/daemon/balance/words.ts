/** A decision in words and numbers: for the history, and for who asks why a job is where it is. */
import type { Side, Stay, StayReason, Wish } from './decide';

const times = (value: number) => `${value.toFixed(value < 10 ? 1 : 0)} times`;
const span = (ms: number) => (ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`);

/** As a part of a sentence that begins with the move. */
export function whyWished({ because, here, there, priceMs, gainMs }: Wish): string {
  if (because === 'drain') return `${here.node} is to be empty; it takes ${span(priceMs)}`;
  const files = here.files && !there.files ? ', where it waits for its files' : '';
  const both = `it takes ${times(here.stretch)} as long on ${here.node} as alone${files}, and ${times(there.stretch)} on ${there.node}`;
  const gain = `moving takes ${span(priceMs)} and is likely to save ${span(gainMs)} more than that`;
  return because === 'memory' ? `${here.node} is short of memory; ${both}` : `${both}; ${gain}`;
}

export interface Why {
  because: string;
  text: string;
  /** It won't move by itself, whatever others do. */
  lasting: boolean;
}

const LASTING: ReadonlySet<string> = new Set([
  'pinned',
  'debugged',
  'stopped',
  'off',
  'not-balanced',
  'no-node',
  'no-room',
]);

export function whyStays(stay: Stay): Why {
  const { because, here, there } = stay;
  const sides = [here, there].filter((side) => side !== null).map(shown);
  const numbers = sides.length > 0 ? ` (${sides.join('; ')})` : '';
  return { because, text: `${WORDS[because](stay)}${numbers}`, lasting: LASTING.has(because) };
}

const shown = ({ node, stretch, cost, files }: Side) =>
  `${node}: ${times(stretch)} as long as alone${files ? `, ${times(files)} for its files` : ''}, cost ${cost.toFixed(2)}`;

const WORDS: Record<StayReason, (stay: Stay) => string> = {
  pinned: () => 'it is pinned: `godwit unpin` lets it move',
  debugged: () => 'it stands in a debugger, and stays until a person moves it',
  moving: () => 'it is being moved',
  stopped: () => 'it is stopped: it would not run elsewhere either',
  off: () => 'balancing is off: `godwit balance on` lets jobs move by themselves',
  'not-balanced': () => 'balance is off for it: `godwit balance on JOB` lets it move by itself',
  'host-unknown': () => 'its host has not been heard of lately',
  asleep: () => 'it hardly runs: it waits for something',
  'no-node': () => 'there is no other node that is up, is not drained, and is one on which it may be',
  'no-room': ({ here }) => `no other node has memory for it${here ? '' : ' free'}`,
  'best-here': () => 'it is nowhere better off, or others would lose more than it gains',
  'too-little': ({ there }) =>
    `it would be little better off${there ? ` on ${there.node}` : ''}, and figures are never exact`,
  young: ({ priceMs, there }) =>
    `it has not run long enough for what a move costs (${span(priceMs)})${there ? `, though ${there.node} is quicker` : ''}`,
  'just-came': () => 'it has just come here',
  'set-back': () => 'a move of it was refused or failed a while ago, and is tried again later',
};
