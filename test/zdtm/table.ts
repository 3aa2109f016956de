/** What came of each test, for people and for comparing two runs. */
import type { Verdict } from './trial';

export type Row = { name: string; verdict: Verdict };

const ORDER = ['wrong', 'late', 'refused', 'documented', 'none', 'right'] as const;
const HEADINGS: Readonly<Record<(typeof ORDER)[number], string>> = {
  wrong: 'WRONG: moved, and not as they were',
  late: 'LATE: a move failed that nothing had stood in the way of',
  refused: 'REFUSED by name, before anything was frozen',
  documented: 'DOCUMENTED: moved, and changed as docs/notice.md says',
  none: 'NOT TRIED: they do not run as jobs here, or are not right without a move',
  right: 'RIGHT',
};

export const lineOf = ({ name, verdict }: Row): string => {
  if (verdict.result === 'right') return name;
  const codes = verdict.result === 'refused' ? `${verdict.codes.join(', ')}: ` : '';
  return `${name.padEnd(30)} ${codes}${verdict.why}`;
};

export function tableOf(rows: Row[]): string {
  const parts = ORDER.flatMap((result) => {
    const of = rows.filter(({ verdict }) => verdict.result === result);
    if (of.length === 0) return [];
    const lines = result === 'right' ? [of.map(lineOf).join(' ')] : of.map((row) => `  ${lineOf(row)}`);
    return [`\n${HEADINGS[result]} (${of.length})`, ...lines];
  });
  const counts = ORDER.map(
    (result) => `${result} ${rows.filter((row) => row.verdict.result === result).length}`,
  );
  return [...parts, `\n${rows.length} tests: ${counts.reverse().join(', ')}`].join('\n');
}

/** None may be wrong, and none refused when it is too late. */
export const isGood = (rows: Row[]): boolean =>
  rows.every(({ verdict }) => verdict.result !== 'wrong' && verdict.result !== 'late');
