/** The part of time that the timeline shows. Pure: a choice and the time with data in, a range out. */
import { z } from 'zod';
import { clock, clockWithMillis, clockWithSeconds, day } from './moments';
import type { Lane, Time } from './stays';

export interface Range {
  from: Time;
  until: Time;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Below it, marks would be finer than the clocks behind them; above, an axis is no longer useful. */
const SHORTEST = 50;
const LONGEST = 60 * DAY;

/** What can be chosen: `recent` fits what is alive or ended lately, `all` everything, the others end now. */
export const SPANS = {
  '1 minute': MINUTE,
  '5 minutes': 5 * MINUTE,
  '15 minutes': 15 * MINUTE,
  '1 hour': HOUR,
  '6 hours': 6 * HOUR,
  '1 day': DAY,
} as const;

/** A person's choice. `free` is what zooming and panning leave. */
export const Choice = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('recent') }),
  z.object({ kind: z.literal('all') }),
  z.object({ kind: z.literal('last'), ms: z.number().min(SHORTEST).max(LONGEST) }),
  z.object({ kind: z.literal('free'), from: z.number(), until: z.number() }),
]);
export type Choice = z.infer<typeof Choice>;

/** Jobs that ended within this time still count as recent. */
const RECENTLY = 10 * MINUTE;
/** Room on both sides of what is fitted in, as a share of it. */
const MARGIN = 0.03;
const LEAST_FIT = 10 * SECOND;

export function rangeOf(choice: Choice, lanes: readonly Lane[], now: Time): Range {
  switch (choice.kind) {
    case 'free':
      return { from: choice.from, until: choice.until };
    case 'last':
      return { from: now - choice.ms, until: now + choice.ms * MARGIN };
    case 'all':
      return around(lanes, now);
    case 'recent': {
      const recent = lanes.filter(({ end }) => !end || end.at > now - RECENTLY);
      return around(recent.length > 0 ? recent : latest(lanes), now);
    }
    default:
      return choice satisfies never;
  }
}

/** From the first beginning to the last end, which is now for a job that lives. */
function around(lanes: readonly Lane[], now: Time): Range {
  const until = lanes.length > 0 ? Math.max(...lanes.map(({ end }) => end?.at ?? now)) : now;
  const from = Math.min(...lanes.map((lane) => beginningOf(lane) ?? now), until - LEAST_FIT);
  const room = (until - from) * MARGIN;
  return { from: from - room, until: until + room };
}

const beginningOf = ({ stays, moves, end }: Lane): Time | undefined =>
  [stays[0]?.from, moves[0]?.began, end?.at].filter((time) => time !== undefined).sort((a, b) => a - b)[0];

const latest = (lanes: readonly Lane[]): Lane[] =>
  lanes
    .filter(({ end }) => end)
    .sort((a, b) => b.end!.at - a.end!.at)
    .slice(0, 1);

/** Makes the range `factor` times as long; the moment at `share` (0 left, 1 right) stays where it is. */
export function zoom({ from, until }: Range, factor: number, share: number): Range {
  const length = Math.min(Math.max((until - from) * factor, SHORTEST), LONGEST);
  const still = from + (until - from) * share;
  return { from: still - length * share, until: still + length * (1 - share) };
}

/** Moves the range by a share of its length; positive shows later times. */
export function pan({ from, until }: Range, share: number): Range {
  const by = (until - from) * share;
  return { from: from + by, until: until + by };
}

export interface Tick {
  at: Time;
  label: string;
}

const STEPS = [
  ...[10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 7, 14, 28].map((n) => n * DAY),
];

/** Round moments of the local time zone, at most `most` of them. */
export function ticks({ from, until }: Range, most: number): Tick[] {
  const step = STEPS.find((each) => (until - from) / each <= most) ?? STEPS.at(-1)!;
  const zone = new Date(from).getTimezoneOffset() * MINUTE;
  const first = Math.ceil((from - zone) / step) * step + zone;
  const found: Tick[] = [];
  for (let at = first; at <= until; at += step) found.push({ at, label: tickLabel(at, step) });
  return found;
}

function tickLabel(at: Time, step: number): string {
  if (step >= DAY || (step >= HOUR && clock(at) === '00:00')) return day(at);
  if (step >= MINUTE) return clock(at);
  return step >= SECOND ? clockWithSeconds(at) : clockWithMillis(at);
}
