/** Stops that a client has yet to hear of: signals merge as the kernel merges them. */
import { expect, it } from 'vitest';
import { withMore } from '../../agent/debug/state/pending';

const stop = (reply: string) => ({ reply, siginfo: null });
const ALARM = stop('T0e06:0;07:0;10:0;thread:p2.2;core:1;');

it.each([
  ['a signal that waits already for the same thread is one', [ALARM], [ALARM, ALARM], 1],
  ['one for another thread waits too', [ALARM], [stop('T0ethread:p2.3;')], 2],
  ['another signal waits too', [ALARM], [stop('T11thread:p2.2;'), stop('T0athread:p2.2;')], 3],
  ['real-time signals are queued one by one', [], [stop('T2dthread:p2.2;'), stop('T2dthread:p2.2;')], 2],
  ['breakpoints are no signals', [], [stop('T05swbreak:;thread:p2.2;'), stop('T05swbreak:;thread:p2.2;')], 2],
])('%s', (_what, pending, stops, count) => {
  expect(withMore(pending, stops)).toHaveLength(count);
});
