/** What the executors of source and destination share: a state machine and its inputs, one answer an epoch, one long work at a time. */
import type { Caller } from '../../api/contract';
import { GodwitError } from '../../api/errors';
import { retryUntilDone } from '../../api/retry';
import type { Epoch } from '../journal/ledger';
import type { Note } from '../journal/notes';
import { asObstacle } from '../preflight/obstacles';
import type { CopyEffect, CopyInput, Presence, Step, Why } from './messages';
import { type MoveContext, PAUSES } from './move-context';
import { Answers, Backoff, Runner } from './runner';

/** Those of its effects that are carried out here; the rest differ between the two. */
type CommonEffect<Answer> = Exclude<CopyEffect<Answer>, { do: 'note' | 'kill-copy' }>;

interface Machine<State, Input, Effect> {
  rest: State;
  step: (state: State, input: Input) => Step<State, Effect>;
  role: 'source' | 'destination';
}

export abstract class Executor<
  State extends { at: string },
  Input,
  Effect,
  Message extends { epoch: Epoch },
  Answer extends { epoch: Epoch },
> {
  readonly #runner: Runner<State, Input | Message | CopyInput, Effect>;
  readonly #answers = new Answers<Answer>();
  readonly #backoff = new Backoff();
  #takenUp: Promise<void> = Promise.resolve();
  #takingUp = false;
  /** The one long work under way: what it makes can only be undone after it. */
  #work: Promise<void> = Promise.resolve();
  #givingUp = new AbortController();
  #retired = false;

  constructor(
    protected readonly context: MoveContext,
    protected readonly job: string,
    readonly home: string,
    private readonly machine: Machine<State, Input | Message | CopyInput, Effect>,
  ) {
    const { rest, step } = machine;
    this.#runner = new Runner(
      rest,
      step,
      (effect) => this.perform(effect),
      (error) => this.log(error.message),
    );
  }

  /** Also until it is known what an earlier run of the agent has left: nothing else may touch the copy. */
  get busy(): boolean {
    return this.#takingUp || this.#runner.state.at !== 'idle';
  }

  /** Where it stands, and nothing is being done meanwhile. */
  get at(): State['at'] | null {
    return this.#takingUp ? null : this.#runner.state.at;
  }

  /** The copy has another home from now on: what this one's says, or was asked, counts no longer. */
  retire(): void {
    this.#retired = true;
    this.#givingUp.abort(new Error('the job has another home'));
  }

  /** Does what the home's message asks for, and answers when it is done. `signal`: the home does not wait any more. */
  async handle(message: Message, signal: Caller['signal']): Promise<Answer> {
    await this.#takenUp;
    const answer = this.#answers.next(message.epoch, signal);
    signal.addEventListener('abort', () => this.feed({ type: 'disconnected' }), { once: true });
    this.feed(message);
    return await answer;
  }

  protected abstract perform(effect: Effect): Promise<void> | void;

  protected feed(input: Input | Message | CopyInput): void {
    if (!this.#retired) this.#runner.feed(input);
  }

  /** Takes up what an earlier run of the agent has left; the home's messages wait until it has. */
  protected takeUp(find: () => Promise<{ note: Note; present: Presence }>): void {
    this.#takingUp = true;
    const take = async () => {
      this.feed({ type: 'restarted', ...(await find()) });
      this.#takingUp = false;
    };
    this.#takenUp = retryUntilDone(take, this.logRetry, PAUSES);
  }

  /** Long work: its outcome comes back as an input. `signal` is aborted when its outcome is of no use any more. */
  protected begin(work: (signal: AbortSignal) => Promise<Input>, failed: (why: Why) => Input): void {
    this.#givingUp = new AbortController();
    this.#work = work(this.#givingUp.signal).then(
      (input) => this.feed(input),
      (error: Error) => {
        this.log(error.message);
        this.feed(failed(whyOf(error)));
      },
    );
  }

  /** Ends the work under way: `interrupt` makes it fail at once wherever it is. */
  protected async giveUp(interrupt: () => Promise<void>): Promise<void> {
    this.#givingUp.abort(new Error('the move was given up'));
    await interrupt();
    await this.#work;
  }

  /** Does what must be done; a failure is tried again. */
  protected async untilDone(work: () => Promise<void>, done: Input): Promise<void> {
    await retryUntilDone(work, this.logRetry, PAUSES);
    this.feed(done);
  }

  /** The effects that mean the same in either role. */
  protected async performAny(effect: CommonEffect<Answer>): Promise<void> {
    switch (effect.do) {
      case 'clear':
        await this.context.journal.clearNote(this.job);
        await this.context.points.reach(`${this.machine.role}.cleared`);
        return this.feed({ type: 'cleared', epoch: effect.epoch });
      case 'reply':
        this.#backoff.reset();
        return this.#answers.give(effect.message);
      case 'ask':
        void this.#ask(effect.epoch);
        return;
      case 'retry':
        return this.#backoff.again(() => this.feed({ type: 'retry' }));
      case 'stranded':
        return this.log(`frozen until a person decides: ${effect.reason}`);
      case 'ignored':
        return this.log(`${effect.input}: ${effect.reason}`);
    }
  }

  async #ask(epoch: Epoch): Promise<void> {
    try {
      const answer = await this.context.peers.call(this.home, 'home.outcome', { job: this.job, epoch });
      const returned = answer.outcome === 'returned' ? { returned: answer.as } : {};
      this.feed({ type: 'outcome', epoch, outcome: answer.outcome, ...returned });
    } catch (error) {
      this.log(`its home ${this.home} does not answer: ${(error as Error).message}`);
    }
  }

  protected readonly logRetry = (error: unknown): void =>
    this.log(`${(error as Error).message}; trying again`);

  protected log(line: string): void {
    this.context.log(line, { job: this.job, role: this.machine.role, peer: this.home });
  }
}

/** An error with a fix is an obstacle that was met too late to be refused. */
export const whyOf = (error: Error): Why => ({
  reason: error.message,
  obstacle: error instanceof GodwitError && error.fix !== undefined ? asObstacle(error) : undefined,
});
