import { expect, it } from 'vitest';
import { concernOf, OBSTACLE_CODES } from '../../agent/daemon/preflight/obstacles';
import { remedyFor } from '../../extension/commands/remedies';

it.each([
  [['no-memory'], 'choose-another-node'],
  [['node-unreachable', 'no-memory'], 'choose-another-node'],
  [['debugger-at-fork'], 'end-debug-session'],
  [['pinned'], 'unpin'],
  [['pinned', 'no-memory'], null],
  // On another node the device would be in the way too.
  [['no-memory', 'device-open'], null],
  [['debugger-at-fork', 'no-memory'], null],
  [['device-open'], null],
  [[], null],
])('the button for %j is %s', (codes, remedy) => {
  expect(remedyFor(codes)).toBe(remedy);
});

it.each(OBSTACLE_CODES)('%s: another node is offered where it is about the destination', (code) => {
  expect(remedyFor([code]) === 'choose-another-node').toBe(concernOf(code) === 'destination');
});
