import { expect, it } from 'vitest';
import { concernOf, OBSTACLE_CODES } from '../../agent/daemon/preflight/obstacles';
import { remedyFor } from '../../extension/commands/remedies';
import { projectFiles, textOf } from '../support/sources';

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

/** After a move, or without a debugger there to end. */
const NOT_BEFORE_A_MOVE = ['debugger-attach-failed', 'debugger-gone', 'debugger-unconfined'];
const raised = projectFiles
  .filter((path) => path.startsWith('agent/debug/') && path.endsWith('.ts'))
  .flatMap((path) => [...textOf(path).matchAll(/\bcode: '(debugger-[a-z-]+)'/g)].map(([, code]) => code!));

it.each([...new Set(raised)])(
  '%s: the end of the session is offered where the debugger stops a move',
  (code) => {
    expect(remedyFor([code])).toBe(NOT_BEFORE_A_MOVE.includes(code) ? null : 'end-debug-session');
  },
);
