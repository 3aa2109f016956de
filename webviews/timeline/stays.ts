/**
 * The history of jobs as a timeline: for each job the stays on its nodes, and the moves between them. Pure; it takes
 * any history, also one whose beginning has been pruned, and never lets a job be in two places.
 */
import type { Exit, HistoryEvent, MoveReport } from '../../agent/api/model';

/** Milliseconds since 1970, by the clock of the job's home. */
export type Time = number;

/** The job was on `node`, and could run. `until` is null while it is there. */
export interface Stay {
  node: string;
  from: Time;
  until: Time | null;
}

export interface Frozen {
  from: Time;
  until: Time;
}

/**
 * - `under-way`: not decided, or the destination has not thawed the job yet.
 * - `given-back`: committed, but the destination never thawed it; the source got it back.
 */
export type Outcome = 'under-way' | 'moved' | 'aborted' | 'given-back' | 'lost';

export interface Move {
  epoch: number;
  from: string;
  to: string;
  began: Time;
  ended: Time | null;
  outcome: Outcome;
  /** When it ran nowhere, as far as that is known: null for moves that are under way or were aborted. */
  frozen: Frozen | null;
  /** Why it was aborted, given back or lost. */
  reason: string | null;
  report: MoveReport | null;
}

export interface End {
  at: Time;
  exit: Exit | null;
  /** Why the job runs nowhere any more although it did not end; null for one that did. */
  lost: string | null;
}

export interface Lane {
  job: string;
  /** In order, without overlap. Only the last may be open, and only while the job has no end. */
  stays: Stay[];
  /** In order. Only the last may be under way, and only while the job has no end. */
  moves: Move[];
  end: End | null;
}

/** Lanes in the order of the jobs' first events. Each job's events must be in the order in which they were written. */
export function lanesOf(events: readonly HistoryEvent[]): Lane[] {
  const builders = new Map<string, LaneBuilder>();
  for (const event of events) {
    const builder = builders.get(event.job) ?? new LaneBuilder(event.job);
    builders.set(event.job, builder);
    builder.take(event);
  }
  return [...builders.values()].map((builder) => builder.lane);
}

class LaneBuilder {
  readonly lane: Lane;
  /** A home's clock may be set back; time in a lane does not run backwards. */
  private now: Time = 0;

  constructor(job: string) {
    this.lane = { job, stays: [], moves: [], end: null };
  }

  take(event: HistoryEvent): void {
    this.now = Math.max(this.now, Date.parse(event.time));
    switch (event.event) {
      case 'launched':
        this.standOn(event.node);
        break;
      case 'move-intent':
        this.intend(event);
        break;
      case 'move-committed':
        this.commit(event);
        break;
      case 'move-thawed':
        this.thaw(event);
        break;
      case 'move-finished':
        this.finish(event);
        break;
      case 'move-aborted':
        this.abort(event);
        break;
      case 'ended':
        this.end({ at: this.now, exit: event.exit ?? null, lost: null });
        break;
      case 'lost':
        this.end({ at: this.now, exit: null, lost: event.reason ?? 'the cause is not known' });
        break;
      case 'adopted':
        this.adopt(event);
        break;
      // It is nowhere yet.
      case 'queued':
        break;
      case 'forgotten':
        this.end({ at: this.now, exit: null, lost: event.reason ?? 'a person gave it up' });
        break;
      default:
        event.event satisfies never;
    }
  }

  private intend({ node, to, epoch = 0 }: HistoryEvent): void {
    if (this.lane.end || to === undefined) return;
    // Without its last word, because the history is incomplete; the job is where the next move begins.
    this.settle('aborted', null);
    this.standOn(node);
    this.begin(node, to, epoch);
  }

  private commit({ node, to, epoch = 0, reason }: HistoryEvent): void {
    if (to === undefined) return;
    const last = this.lane.moves.at(-1);
    const revocable = last?.outcome === 'lost' || (last?.outcome === 'under-way' && last.frozen);
    if (last && revocable && epoch > last.epoch) this.giveBack(last, to, reason ?? null);
    else if (!this.lane.end) this.leaveFor(node, to, epoch);
  }

  private leaveFor(node: string, to: string, epoch: number): void {
    if (this.underWay?.epoch !== epoch) this.settle('aborted', null);
    const move = this.underWay ?? this.begin(node, to, epoch);
    if (move.frozen) return;
    // It was frozen some time before; the report will tell when.
    this.leave(this.now);
    move.frozen = { from: this.now, until: this.now };
  }

  private thaw({ node, epoch = 0 }: HistoryEvent): void {
    const move = this.underWay;
    if (move?.epoch === epoch) this.arrive(move);
    else this.standOn(node);
  }

  private finish({ move: report, epoch }: HistoryEvent): void {
    const move = this.lane.moves.findLast((known) => known.epoch === epoch);
    if (!report || !move) return;
    if (move.outcome === 'under-way') this.arrive(move);
    if (move.outcome !== 'moved' || !move.frozen) return;
    move.report = report;
    const { until } = move.frozen;
    const last = this.lane.stays.findLast((stay) => stay.until === move.frozen?.from);
    const left = last?.node === move.from ? last : undefined;
    // Where the history is incomplete it may have been seen elsewhere meanwhile: it was not frozen then.
    const others = this.lane.stays.filter(
      (stay) => stay !== left && stay.until !== null && stay.until <= until,
    );
    const earliest = Math.max(move.began, ...others.map((stay) => stay.until!));
    const from = Math.min(until, Math.max(earliest, until - report.freezeMs));
    move.frozen = { from, until };
    if (left) left.until = Math.max(left.from, from);
  }

  private abort({ epoch, node, reason }: HistoryEvent): void {
    const move = this.lane.moves.findLast((known) => known.epoch === epoch);
    if (move?.outcome === 'aborted') move.reason ??= reason ?? null;
    if (move?.outcome !== 'under-way') return;
    this.settle('aborted', reason ?? null);
    if (!this.lane.end) this.standOn(node);
  }

  private giveBack(move: Move, to: string, reason: string | null): void {
    // A person may give a lost job its life back.
    this.lane.end = null;
    const from = move.frozen?.from ?? this.lane.stays.at(-1)?.until ?? this.now;
    const frozen = { from, until: this.now };
    Object.assign(move, { outcome: 'given-back', ended: this.now, reason, frozen });
    this.standOn(to);
  }

  /** A copy that had lost its home runs on; the home that it had says `to` where. */
  private adopt({ node, to = node }: HistoryEvent): void {
    if (this.lane.end?.lost) this.lane.end = null;
    if (this.lane.end) return;
    this.settle('aborted', null);
    this.standOn(to);
  }

  private end(end: End): void {
    if (this.lane.end && !this.lane.end.lost) return;
    const move = this.underWay;
    if (end.lost) this.settle('lost', end.lost);
    // It ran there, so it had been thawed, even if that was reported later.
    else if (move?.frozen) this.arrive(move);
    else this.settle('aborted', null);
    this.leave(end.at);
    this.lane.end = end;
  }

  private begin(from: string, to: string, epoch: number): Move {
    const move: Move = {
      epoch,
      from,
      to,
      began: this.now,
      ended: null,
      outcome: 'under-way',
      frozen: null,
      reason: null,
      report: null,
    };
    this.lane.moves.push(move);
    return move;
  }

  private arrive(move: Move): void {
    const from = move.frozen?.from ?? this.now;
    this.leave(from);
    Object.assign(move, { outcome: 'moved', ended: this.now, frozen: { from, until: this.now } });
    this.standOn(move.to);
  }

  private settle(outcome: Outcome, reason: string | null): void {
    const move = this.underWay;
    if (!move) return;
    if (move.frozen) move.frozen.until = this.now;
    Object.assign(move, { outcome, reason, ended: this.now });
  }

  /** The job is on `node` from now on, if it was not there already. */
  private standOn(node: string): void {
    if (this.lane.end || this.standing?.node === node) return;
    const move = this.underWay;
    // Only where the history is incomplete: it runs somewhere, so it is not frozen any more.
    if (move?.frozen) this.settle(move.to === node ? 'moved' : 'aborted', null);
    this.leave(this.now);
    this.lane.stays.push({ node, from: this.now, until: null });
  }

  private leave(at: Time): void {
    const { standing } = this;
    if (standing) standing.until = Math.max(standing.from, at);
  }

  private get standing(): Stay | undefined {
    const last = this.lane.stays.at(-1);
    return last?.until === null ? last : undefined;
  }

  private get underWay(): Move | undefined {
    const last = this.lane.moves.at(-1);
    return last?.outcome === 'under-way' ? last : undefined;
  }
}
