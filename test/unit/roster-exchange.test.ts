/** When a node asks for entries of the roster: one that says it knows more is asked at once, within bounds. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Peers } from '../../agent/daemon/cluster/peers';
import type { Roster } from '../../agent/daemon/cluster/roster';
import { RosterExchange } from '../../agent/daemon/cluster/roster-exchange';
import { logTo } from '../../agent/log';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'setTimeout'] }));
afterEach(() => void vi.useRealTimers());

it('asks who has later entries, since those that it has, and no more than once a second', async () => {
  const asked: unknown[] = [];
  const merged: unknown[] = [];
  const exchange = new RosterExchange({
    node: 'node1',
    roster: {
      ...{ complete: 4, authorityNode: null },
      merge: async (...given: unknown[]) => merged.push(given) > 0,
    } as unknown as Roster,
    peers: {
      names: ['node1', 'node2'],
      call: async (...given: unknown[]) => {
        asked.push(given.slice(0, 3));
        return { entries: [], complete: 9 };
      },
    } as unknown as Peers,
    changed: () => {},
    log: logTo(() => {}),
  });
  vi.advanceTimersByTime(5_000);
  for (let times = 0; times < 100; times++) exchange.askSoon('node2');
  await vi.advanceTimersByTimeAsync(900);
  exchange.askSoon('node2');
  expect(asked).toEqual([['node2', 'cluster.entries', { since: 4 }]]);
  expect(merged).toEqual([[[], 9]]);
  await vi.advanceTimersByTimeAsync(200);
  exchange.askSoon('node3');
  expect(asked).toHaveLength(2);
});
