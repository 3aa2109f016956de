/** A move that fails at its source: what can be done about it comes to the one who asked for the move. */
import { expect, it } from 'vitest';
import { FromSource } from '../../agent/api/move-contract';
import type { Ledger } from '../../agent/daemon/journal/ledger';
import { notMoved } from '../../agent/daemon/migration/coordinator';
import { whyOf } from '../../agent/daemon/migration/executor';
import { type HomeInput, type HomeState, stepHome } from '../../agent/daemon/migration/home';
import { type SourceState, stepSource } from '../../agent/daemon/migration/source';
import { atForkEvent } from '../../agent/debug/attach/park';
import { remedyFor } from '../../extension/commands/remedies';

const move = { from: 'a', to: 'b', epoch: 1, since: 0, transfer: 'stop' } as const;
const ledger = { debts: [] } as unknown as Ledger;

/** The home's last effect, after the source has said that. */
function reported(message: FromSource) {
  const inputs: HomeInput[] = [
    { type: 'from-source', node: 'a', message },
    { type: 'written', entry: { type: 'abort', epoch: 1, reason: 'any' }, ledger },
    { type: 'from-source', node: 'a', message: { type: 'resumed', epoch: 1 } },
    { type: 'written', entry: { type: 'resumed', epoch: 1 }, ledger },
  ];
  let state: HomeState = { at: 'sending', move, debts: [] };
  let effects: ReturnType<typeof stepHome>['effects'] = [];
  for (const input of inputs) ({ state, effects } = stepHome(state, input));
  const report = effects.find((effect) => effect.do === 'report');
  if (!report || report.outcome === 'moved') throw new Error(`no failure was reported: ${state.at}`);
  return report;
}

/** What a source says whose work failed, as it comes over the wire. */
function saidBySource(error: Error): FromSource {
  const sending: SourceState = { at: 'sending', epoch: 1, since: 0 };
  const { effects } = stepSource(sending, { type: 'dump-failed', epoch: 1, ...whyOf(error) });
  const reply = effects.find((effect) => effect.do === 'reply');
  return FromSource.parse(JSON.parse(JSON.stringify(reply?.message)));
}

it('of a debugger that is at a fork: the fix, and a code that the editor knows', () => {
  const error = atForkEvent('a fork');
  const failure = notMoved('abcdefghij', move, reported(saidBySource(error)));
  expect(failure.code).toBe('move-failed');
  expect(failure.toLine()).toMatch(
    /runs on at a: the program is stopped at a fork .*; let the program go on/,
  );
  expect(failure.obstacles).toEqual([{ code: 'debugger-at-fork', what: error.message, fix: error.fix }]);
  expect(remedyFor(failure.obstacles!.map(({ code }) => code))).toBe('end-debug-session');
});

it('of an error without a fix: the reason alone', () => {
  const failure = notMoved('abcdefghij', move, reported(saidBySource(new Error('the disk is gone'))));
  expect(failure.toFailure()).toEqual({
    code: 'move-failed',
    message: 'job abcdefghij could not be moved to b and runs on at a: the disk is gone',
    fix: undefined,
  });
});
