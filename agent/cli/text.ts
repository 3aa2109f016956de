/** Figures and tables for people to read. */
import { printable } from './output';

export interface Column<Row> {
  title: string;
  cell: (row: Row) => string;
  /** Figures stand at the right of their column. */
  figure?: boolean;
}

/**
 * One line a row below a line of titles, columns aligned, the last one as long as it is; on a terminal it is cut at
 * the terminal's edge.
 */
export function table<Row>(columns: Column<Row>[], rows: Row[], width = process.stdout.columns): string {
  const cells = rows.map((row) => columns.map(({ cell }) => printable(cell(row)) || '-'));
  const lines = [columns.map(({ title }) => title), ...cells];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => line[index]!.length)));
  const aligned = lines.map((line) =>
    line
      .map((cell, index) =>
        columns[index]!.figure ? cell.padStart(widths[index]!) : cell.padEnd(widths[index]!),
      )
      .join('  ')
      .trimEnd(),
  );
  return aligned.map((line) => (width ? line.slice(0, width) : line)).join('\n');
}

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

/** `2027-03-05 14:07:09.120`, in the terminal's own time zone. */
export function moment(iso: string): string {
  const at = new Date(iso);
  const two = (figure: number) => String(figure).padStart(2, '0');
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return `${day} ${time}.${String(at.getMilliseconds()).padStart(3, '0')}`;
}

/** At most two decimals: `1`, `0.5`, `1.33`. */
export const figure = (value: number): string => String(Number(value.toFixed(2)));

/** As a shell would take it: quoted where it must be. */
export const commandLine = (words: string[]): string =>
  words
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(' ');

export const exitText = ({ exit, signal }: { exit: number; signal: string | null }): string =>
  signal ?? String(exit);
