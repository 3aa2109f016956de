import { expect, it } from 'vitest';
import { remedyFor } from '../../extension/commands/remedies';

it.each([
  [['no-memory'], 'choose-another-node'],
  [['node-unreachable', 'no-memory'], 'choose-another-node'],
  [['debugger-at-fork'], 'end-debug-session'],
  [['pinned'], 'unpin'],
  [['pinned', 'no-memory'], null],
  // Whoever would choose another node would meet the device there too.
  [['no-memory', 'device-open'], null],
  [['debugger-at-fork', 'no-memory'], null],
  [['device-open'], null],
  [[], null],
])('the button for %j is %s', (codes, remedy) => {
  expect(remedyFor(codes)).toBe(remedy);
});
