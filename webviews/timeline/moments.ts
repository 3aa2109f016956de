/** Moments as people read them, in their own time zone. */
import type { Time } from './stays';

const two = (figure: number): string => String(figure).padStart(2, '0');

export function day(at: Time): string {
  const date = new Date(at);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** `14:07`. */
export function clock(at: Time): string {
  const date = new Date(at);
  return `${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** `14:07:09`. */
export const clockWithSeconds = (at: Time): string => `${clock(at)}:${two(new Date(at).getSeconds())}`;

/** `14:07:09.120`. */
export const clockWithMillis = (at: Time): string =>
  `${clockWithSeconds(at)}.${String(new Date(at).getMilliseconds()).padStart(3, '0')}`;

/** `14:07:09.120` of today, `2027-03-05 14:07:09.120` of any other day. */
export const moment = (at: Time): string =>
  day(at) === day(Date.now()) ? clockWithMillis(at) : `${day(at)} ${clockWithMillis(at)}`;
