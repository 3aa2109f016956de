/** Carries out the effects of a job's home: writes to the journal, sends messages to source and destination, reports the outcome. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { MovePhase } from '../../api/client-events';
import { asGodwitError, GodwitError, jobEnded, jobMoving } from '../../api/errors';
import type { MoveReport, Transfer } from '../../api/model';
import type { ToDestination, ToSource } from '../../api/move-contract';
import type { Fields } from '../../log';
import { shownOf } from '../jobs/copy';
import type { Entry, Ledger, Move } from '../journal/journal';
import { nextMove } from '../journal/ledger';
import { FAULT_POINTS } from './fault-points';
import {
  type Ending,
  free,
  type HomeEffect,
  type HomeInput,
  type HomeState,
  homeAtRest,
  stepHome,
} from './home';
import { PROGRAM_ENDED } from './messages';
import type { MoveContext } from './move-context';
import { phaseOf } from './phase';
import { Backoff, Runner } from './runner';
import { Stopwatch } from './stopwatch';

/** How long the answer to each message may take before the move is aborted (or, once decided, the message sent again). */
const LIMIT_MS: Record<(ToSource | ToDestination)['type'], number> = {
  prepare: 30_000,
  // An hour: some hundred GB over a slow network.
  send: 3_600_000,
  restore: 900_000,
  commit: 180_000,
  abort: 180_000,
  return: 180_000,
  discard: 60_000,
};

/** How long a move waits for a node that still has an earlier one's copy to clear away, and how often it looks. */
const CLEAR_MS = 5_000;
const CLEAR_POLL_MS = 20;

export class Coordinator {
  readonly #runner: Runner<HomeState, HomeInput, HomeEffect>;
  readonly #backoff = new Backoff();
  /** Messages whose answers are awaited: none is sent twice at the same time. */
  readonly #underWay = new Set<string>();
  #watch: Stopwatch | null = null;
  /** What the home before said last against it. */
  #refused = '';
  /** Those who wait for the end of the move. */
  readonly #waiting = new Set<(ending: Ending) => void>();

  constructor(
    private readonly job: string,
    private readonly options: Pick<MoveContext, 'node' | 'journal' | 'peers' | 'changed' | 'points' | 'log'>,
  ) {
    this.#runner = new Runner(
      homeAtRest,
      stepHome,
      (effect) => this.#perform(effect),
      (error) => this.#log(error.message),
    );
  }

  get moving(): boolean {
    return this.#runner.state.at !== 'idle';
  }

  get phase(): MovePhase | null {
    return phaseOf(this.#runner.state);
  }

  /** Takes up what the journal says of an earlier run of the agent. */
  restart(ledger: Ledger) {
    this.#runner.feed({ type: 'restarted', ledger });
  }

  /** Moves the job; resolves when it runs on `to`. @throws GodwitError with the reason for which it did not */
  async migrate(
    ledger: Ledger,
    to: string,
    transfer: Transfer,
    signal: AbortSignal,
    reason?: string,
  ): Promise<MoveReport> {
    if (this.moving) throw jobMoving(this.job);
    await this.#cleared(to);
    if (this.moving) throw jobMoving(this.job);
    signal.throwIfAborted();
    const move = nextMove(ledger, to, transfer);
    const watch = new Stopwatch(this.job, move);
    this.#watch = watch;
    const ended = this.#ending();
    const cancel = () =>
      this.#runner.feed({ type: 'cancel', reason: 'the move was cancelled by its client' });
    signal.addEventListener('abort', cancel, { once: true });
    try {
      this.#runner.feed({ type: 'migrate', move });
      const ending = await ended;
      if (ending.outcome !== 'moved') throw await this.#notMoved(move, ending);
      const report = watch.report();
      await this.options.journal.report(report, reason);
      return report;
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  async #notMoved(move: Move, ending: Exclude<Ending, { outcome: 'moved' }>): Promise<GodwitError> {
    const { state } = await this.options.journal.job(this.job);
    return state === 'ended' || ending.reason === PROGRAM_ENDED
      ? jobEnded(this.job)
      : notMoved(this.job, move, ending);
  }

  #ending(): Promise<Ending> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  #end(ending: Ending): void {
    for (const resolve of this.#waiting) resolve(ending);
    this.#waiting.clear();
  }

  /** As `restart`; resolves when the move that is open is over. */
  takeUp(ledger: Ledger): Promise<Ending> {
    const ended = this.#ending();
    this.restart(ledger);
    return ended;
  }

  /** A person's word about the frozen copy that is left at the source; resolves when it is done. */
  decide(word: 'adopt' | 'forget'): Promise<Ending> {
    const ended = this.#ending();
    this.#runner.feed({ type: word });
    return ended;
  }

  /** The journal has been told something that no step of a move is. */
  async enter(entry: Entry & { type: 'given-up' | 'adopted' }): Promise<void> {
    const ledger = await this.options.journal.enter(this.job, entry);
    this.#end({ outcome: 'lost', reason: entry.reason });
    this.restart(ledger);
    this.options.changed();
  }

  /** What an earlier move left at `node` is mostly cleared away before anybody asks for the next one. */
  async #cleared(node: string): Promise<void> {
    const until = performance.now() + CLEAR_MS;
    while (!this.moving && !free(this.#runner.state, node)) {
      if (performance.now() > until) throw notCleared(this.job, node);
      await sleep(CLEAR_POLL_MS);
    }
  }

  /** A node asked what became of an epoch. */
  asked(node: string, epoch: number) {
    this.#runner.feed({ type: 'asked', node, epoch });
  }

  async #perform(effect: HomeEffect): Promise<void> {
    switch (effect.do) {
      case 'write':
        return this.#write(effect.entry);
      case 'notify-source':
        void this.#notifySource(effect.node, effect.message);
        return;
      case 'notify-destination':
        void this.#notifyDestination(effect.node, effect.message);
        return;
      case 'notify-home':
        void this.#notifyHome(effect.node, effect.epoch);
        return;
      case 'answer-outcome':
        // The handler of its request answers it from the journal.
        return;
      case 'retry':
        return this.#backoff.again(() => this.#runner.feed({ type: 'retry' }));
      case 'report':
        this.#backoff.reset();
        if (effect.outcome !== 'moved')
          this.#log(`${effect.outcome}: ${effect.reason}`, { epoch: effect.epoch });
        return this.#end(effect);
      case 'stranded':
        return this.#log(`a person should look: ${effect.reason}`);
      case 'ignored':
        return this.#log(`${effect.input}: ${effect.reason}`);
    }
  }

  async #write(entry: Entry): Promise<void> {
    this.#watch?.begin(entry);
    try {
      const ledger = await this.options.journal.enter(this.job, entry);
      this.#watch?.written(entry);
      await this.#passes(`${entry.type}-written`);
      this.#runner.feed({ type: 'written', entry, ledger });
    } catch (error) {
      // What the file has now is what counts.
      this.#log(`${entry.type} was not written: ${(error as Error).message}`);
      if (entry.type === 'intent') this.#end({ outcome: 'aborted', reason: (error as Error).message });
      const { ledger } = await this.options.journal.job(this.job);
      this.#runner.feed({ type: 'restarted', ledger });
    }
  }

  #notifySource(node: string, message: ToSource): Promise<void> {
    return this.#notify(node, message, async (timeoutMs) => {
      const params = { job: this.job, home: this.options.node, message };
      const answer = await this.options.peers.call(node, 'move.toSource', params, { timeoutMs });
      this.#watch?.source(answer);
      return { type: 'from-source', node, message: answer };
    });
  }

  #notifyDestination(node: string, message: ToDestination): Promise<void> {
    return this.#notify(node, message, async (timeoutMs) => {
      const homed = await this.options.journal.job(this.job);
      const { user, limits, address, allocation, tty } = homed.spec;
      const shown = shownOf(homed);
      const terms = { user, limits, address, allocation, terminal: tty !== undefined, shown };
      const params = { job: this.job, home: this.options.node, terms, message };
      const answer = await this.options.peers.call(node, 'move.toDestination', params, { timeoutMs });
      this.#watch?.destination(answer);
      return { type: 'from-destination', node, message: answer };
    });
  }

  /** As the job's user, who may do that with their own job. */
  async #notifyHome(node: string, epoch: number): Promise<void> {
    const telling = `${node} adopted ${epoch}`;
    if (this.#underWay.has(telling)) return;
    this.#underWay.add(telling);
    try {
      const { spec } = await this.options.journal.job(this.job);
      const params = { job: this.job, epoch, as: spec.user };
      const { said } = await this.options.peers.call(node, 'home.adopted', params, {
        timeoutMs: LIMIT_MS.discard,
      });
      await this.options.points.reach('adoption.told');
      this.#runner.feed({ type: 'from-former-home', node, epoch, said });
    } catch (error) {
      // While it is gone that is no news.
      const { code, message } = asGodwitError(error);
      if (this.#refused !== message && code !== 'node-unreachable')
        this.#log(`${node} does not take it that the job is adopted: ${message}`, { peer: node });
      this.#refused = message;
    } finally {
      this.#underWay.delete(telling);
    }
  }

  async #notify(
    node: string,
    message: ToSource | ToDestination,
    call: (limit: number) => Promise<HomeInput>,
  ) {
    const sending = `${node} ${message.type} ${message.epoch}`;
    if (this.#underWay.has(sending)) return;
    this.#underWay.add(sending);
    this.#watch?.told(message);
    this.options.changed();
    try {
      const answer = await call(LIMIT_MS[message.type]);
      if ('message' in answer) await this.#passes(`${answer.message.type}-received`);
      this.#runner.feed(answer);
    } catch (error) {
      const fields = { peer: node, epoch: message.epoch };
      this.#log(`${message.type}: ${(error as Error).message}`, fields);
      this.#runner.feed({ type: 'disconnected', node });
    } finally {
      this.#underWay.delete(sending);
    }
  }

  /** Fault points of the steps that have one. */
  async #passes(step: string): Promise<void> {
    const point = FAULT_POINTS.home.find((name) => name === step);
    if (point) await this.options.points.reach(`home.${point}`);
  }

  #log(line: string, fields: Fields = {}) {
    this.options.log(line, { job: this.job, role: 'home', ...fields });
  }
}

const notCleared = (job: string, node: string) =>
  new GodwitError({
    code: 'not-cleared',
    message: `${node} has not cleared away an earlier move of job ${job} yet`,
    fix: 'try again in a moment, or choose another node',
  });

export function notMoved(
  job: string,
  move: Move,
  ending: Exclude<Ending, { outcome: 'moved' }>,
): GodwitError {
  if (ending.outcome === 'lost') {
    return new GodwitError({
      code: 'job-lost',
      message: `job ${job} was lost on its way to ${move.to}: ${ending.reason}`,
    });
  }
  return new GodwitError({
    code: 'move-failed',
    message: `job ${job} could not be moved to ${move.to} and runs on at ${move.from}: ${ending.reason}`,
    fix: ending.obstacle?.fix,
    obstacles: ending.obstacle && [ending.obstacle],
  });
}
