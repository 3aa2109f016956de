/** Figures as people read them, the same in the command and in the editor. */
import type { Exit } from './model';

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** `0 B`, `12 kB`, `3.4 MB`: decimal units, two or three digits. */
export function size(bytes: number): string {
  const unit = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), UNITS.length - 1);
  const value = bytes / 1000 ** unit;
  return `${unit > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

/** `0.4 ms`, `212 ms`, `3.1 s`. */
export function span(ms: number): string {
  if (ms < 10) return `${Number(ms.toFixed(1))} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

export const exitText = ({ exit, signal }: Exit): string => signal ?? String(exit);

/** As a shell would take it: quoted where it must be. */
export const commandLine = (words: readonly string[]): string =>
  words
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(' ');

const SECOND = 1_000;
const AGES: [name: string, ms: number][] = [
  ['days', 86_400 * SECOND],
  ['h', 3_600 * SECOND],
  ['min', 60 * SECOND],
];

/** How old something is: `40 s`, `3 min`, `5 h`, `12 days`; two of a unit at least. */
export function age(ms: number): string {
  const [name, unit] = AGES.find(([, unit]) => ms >= 2 * unit) ?? ['s', SECOND];
  return `${Math.floor(ms / unit)} ${name}`;
}
