/** Times in milliseconds, and what is said of them. */

export const median = (times: readonly number[]): number => {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
};

export interface Row {
  what: string;
  /** Medians, in milliseconds. */
  godwit: number;
  reference: number | null;
  /** As many times the reference is the goal, where it is a ratio. */
  goal: string;
}

export const shown = (row: Row) => ({
  what: row.what,
  'Godwit, ms': rounded(row.godwit),
  'beside it, ms': row.reference === null ? '' : rounded(row.reference),
  ratio: row.reference === null ? '' : Number((row.godwit / row.reference).toPrecision(2)),
  goal: row.goal,
});

const rounded = (ms: number) => Number(ms.toPrecision(3));

/** Times each of several, in turns of so many. */
export async function inTurns(
  count: number,
  turn: number,
  measures: readonly ((times: number) => Promise<number[]>)[],
): Promise<number[][]> {
  const times: number[][] = measures.map(() => []);
  for (let done = 0; done < count; done += turn)
    for (const [nth, measure] of measures.entries())
      times[nth]!.push(...(await measure(Math.min(turn, count - done))));
  return times;
}
