/** Figures and tables for people to read. */
import { printable } from '../api/text';

export { commandLine, exitText, size, span } from '../api/figures';

export interface Column<Row> {
  title: string;
  cell: (row: Row) => string;
  /** Figures are aligned at the right of their column. */
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
