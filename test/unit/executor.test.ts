/** A node's part in a move, when the job has another home: what was asked under the old one changes nothing any more. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Executor } from '../../agent/daemon/migration/executor';
import type { CopyEffect, CopyInput } from '../../agent/daemon/migration/messages';
import type { MoveContext } from '../../agent/daemon/migration/move-context';

interface Order {
  type: 'order';
  epoch: number;
}
interface Answer {
  type: 'done';
  epoch: number;
}
type Effect = CopyEffect<Answer> | { do: 'work' };

class Probe extends Executor<{ at: string }, never, Effect, Order, Answer> {
  readonly done: string[] = [];

  constructor() {
    super({ log: () => {} } as unknown as MoveContext, 'job', 'home', {
      rest: { at: 'holding' },
      step: (state, input) => ({
        state,
        effects:
          input.type === 'order'
            ? [{ do: 'work' }, { do: 'reply', message: { type: 'done', epoch: input.epoch } }]
            : [{ do: 'work' }],
      }),
      role: 'source',
    });
  }

  protected override perform(effect: Effect): Promise<void> | void {
    if (effect.do === 'work') this.done.push(effect.do);
    else if (effect.do === 'reply') return this.performAny(effect);
  }

  hears(input: CopyInput): void {
    this.feed(input);
  }
}

it('once retired, neither its home’s messages nor what it had asked that home have any effect', async () => {
  const probe = new Probe();
  const { signal } = new AbortController();
  await expect(probe.handle({ type: 'order', epoch: 1 }, signal)).resolves.toEqual({
    type: 'done',
    epoch: 1,
  });
  expect(probe.done).toEqual(['work']);
  probe.retire();
  const waiting = new AbortController();
  const late = probe.handle({ type: 'order', epoch: 2 }, waiting.signal);
  // It waits by now.
  await nextTurn();
  probe.hears({ type: 'outcome', epoch: 1, outcome: 'aborted' });
  probe.hears({ type: 'retry' });
  waiting.abort();
  await expect(late).rejects.toThrow('no longer waits');
  expect(probe.done).toEqual(['work']);
});
