/** A move that fails on a node: what can be done about it is in the answer to its request. */
import { expect, it } from 'vitest';
import { GodwitError } from '../../agent/api/errors';
import { FromDestination, FromSource } from '../../agent/api/move-contract';
import type { Ledger } from '../../agent/daemon/journal/ledger';
import { notMoved } from '../../agent/daemon/migration/coordinator';
import { type DestinationState, stepDestination } from '../../agent/daemon/migration/destination';
import { whyOf } from '../../agent/daemon/migration/executor';
import { type HomeInput, type HomeState, stepHome } from '../../agent/daemon/migration/home';
import { type SourceState, stepSource } from '../../agent/daemon/migration/source';
import { atForkEvent } from '../../agent/debug/attach/park';
import { remedyFor } from '../../extension/commands/remedies';

const move = { from: 'a', to: 'b', epoch: 1, since: 0, transfer: 'stop' } as const;
const ledger = { debts: [] } as unknown as Ledger;

/** The home's report, after it was told that of a move in that state. */
function reported(state: HomeState, failed: HomeInput) {
  const inputs: HomeInput[] = [
    failed,
    { type: 'written', entry: { type: 'abort', epoch: 1, reason: 'any' }, ledger },
    { type: 'from-source', node: 'a', message: { type: 'resumed', epoch: 1 } },
    { type: 'written', entry: { type: 'resumed', epoch: 1 }, ledger },
  ];
  let effects: ReturnType<typeof stepHome>['effects'] = [];
  for (const input of inputs) ({ state, effects } = stepHome(state, input));
  const report = effects.find((effect) => effect.do === 'report');
  if (!report || report.outcome === 'moved') throw new Error(`no failure was reported: ${state.at}`);
  return report;
}

/** A message as it comes over the wire. */
const sent = <T>(schema: { parse: (value: unknown) => T }, effects: { do: string; message?: unknown }[]): T =>
  schema.parse(JSON.parse(JSON.stringify(effects.find((effect) => effect.do === 'reply')?.message)));

/** The failure of a move whose source failed with that. */
function atSource(error: Error): GodwitError {
  const sending: SourceState = { at: 'sending', epoch: 1, since: 0 };
  const { effects } = stepSource(sending, { type: 'dump-failed', epoch: 1, ...whyOf(error) });
  const message = sent(FromSource, effects);
  const report = reported({ at: 'sending', move, debts: [] }, { type: 'from-source', node: 'a', message });
  return notMoved('abcdefghij', move, report);
}

/** The same of its destination, which is asked again after it has failed. */
function atDestination(error: Error): GodwitError {
  const restoring: DestinationState = { at: 'restoring', epoch: 1 };
  const failed = stepDestination(restoring, { type: 'executor-failed', epoch: 1, ...whyOf(error) });
  const again = stepDestination(failed.state, { type: 'restore', epoch: 1 });
  const message = sent(FromDestination, again.effects);
  expect(sent(FromDestination, failed.effects)).toEqual(message);
  const report = reported(
    { at: 'restoring', move, debts: [] },
    { type: 'from-destination', node: 'b', message },
  );
  return notMoved('abcdefghij', move, report);
}

it('of a debugger that is at a fork: the fix, and a code that the editor knows', () => {
  const error = atForkEvent('a fork');
  const failure = atSource(error);
  expect(failure.code).toBe('move-failed');
  expect(failure.toLine()).toMatch(
    /runs on at a: the program is stopped at a fork .*; let the program go on/,
  );
  expect(failure.obstacles).toEqual([{ code: 'debugger-at-fork', what: error.message, fix: error.fix }]);
  expect(remedyFor(failure.obstacles!.map(({ code }) => code))).toBe('end-debug-session');
});

it('of a destination without room: the same', () => {
  const error = new GodwitError({ code: 'disk-full', message: 'no room left', fix: 'free space' });
  const failure = atDestination(error);
  expect(failure.toLine()).toMatch(/runs on at a: no room left; free space$/);
  expect(remedyFor(failure.obstacles!.map(({ code }) => code))).toBe('choose-another-node');
});

it.each([atSource, atDestination])('of an error without a fix: the reason alone', (failed) => {
  expect(failed(new Error('the disk is gone')).toFailure()).toEqual({
    code: 'move-failed',
    message: 'job abcdefghij could not be moved to b and runs on at a: the disk is gone',
    fix: undefined,
  });
});
