import type { MoveReport, Phases } from '../../api/model';
import type {
  FromDestination,
  FromSource,
  SourceFigures,
  ToDestination,
  ToSource,
} from '../../api/move-contract';
import type { Entry, Move } from '../journal/journal';

/** The times of one move, as its home sees them and as source and destination report them. Milliseconds. */
export class Stopwatch {
  readonly #begun = performance.now();
  readonly #at = new Map<string, number>();
  #figures: SourceFigures | null = null;
  #restore = 0;

  constructor(
    private readonly job: string,
    private readonly move: Move,
  ) {}

  begin(entry: Entry) {
    this.#mark(`begin ${entry.type}`);
  }
  written(entry: Entry) {
    this.#mark(`written ${entry.type}`);
  }
  told(message: ToSource | ToDestination) {
    if (message.epoch === this.move.epoch) this.#mark(`told ${message.type}`);
  }
  source(answer: FromSource) {
    if (answer.epoch === this.move.epoch && answer.type === 'sent') this.#figures = answer.figures;
  }
  destination(answer: FromDestination) {
    if (answer.epoch !== this.move.epoch) return;
    this.#mark(answer.type);
    if (answer.type === 'restored') this.#restore = answer.figures.restore;
  }

  /** Only of a move that is over. */
  report(): MoveReport {
    const { from, to, epoch, transfer } = this.move;
    const { park = 0, frozenAfter = 0, dump = 0, transfer: carry = 0, bytes = 0 } = this.#figures ?? {};
    const phases: Phases = {
      prepare: this.#span('told prepare', 'prepared'),
      park,
      dump,
      transfer: carry,
      restore: this.#restore,
      commit: this.#span('begin commit', 'written commit'),
      thaw: this.#span('told commit', 'thawed'),
    };
    const freezeMs = Math.max(0, this.#span('told send', 'thawed') - frozenAfter);
    return {
      job: this.job,
      from,
      to,
      epoch,
      transfer,
      freezeMs,
      totalMs: performance.now() - this.#begun,
      bytes,
      phases,
    };
  }

  /** The first time counts: repeated messages are about the same step. */
  #mark(event: string) {
    if (!this.#at.has(event)) this.#at.set(event, performance.now());
  }

  #span(from: string, to: string): number {
    return Math.max(0, (this.#at.get(to) ?? 0) - (this.#at.get(from) ?? 0));
  }
}
