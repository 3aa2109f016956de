/** What moving jobs by itself does for a cluster, by the agent's own policy: simulated, or in a lab. */
import { writeFileSync } from 'node:fs';
import type { BenchOptions } from '../options';
import { benchInLab } from './lab';
import { benchMemoryPressure } from './memory';
import { NAMES, nameOf } from './names';
import { drawPicture } from './picture';
import { type Figures, measure, PLANS, type Row } from './trials';

/** With `--simulate` a simulated cluster, else real jobs on nodes of this machine. */
export async function benchBalance({ numbers, words, simulate, picture }: BenchOptions): Promise<Flat> {
  if (!simulate) {
    const wants = (part: string) => words.length === 0 || words.includes(part);
    const time = wants('time') ? await benchInLab() : {};
    return { ...time, ...(wants('memory') ? await benchMemoryPressure() : {}) };
  }
  const plans = PLANS.filter(({ nodes }) => numbers.length === 0 || numbers.includes(nodes));
  const all = plans.map((plan) => {
    process.stderr.write(`${nameOf(plan)} …\n`);
    const figures = measure(plan);
    process.stdout.write(`${nameOf(plan)}, ${figures.jobs} jobs\n`);
    console.table(figures.rows.map(shown));
    return figures;
  });
  if (picture) writeFileSync(picture, drawPicture(all));
  return Object.assign({}, ...all.map(flat));
}

type Flat = Record<string, number>;

const short = (value: number) => Math.round(value * 100) / 100;

const shown = (row: Row) => ({
  'a job runs on': NAMES[row.policy],
  'slowdown, mean': short(row.mean),
  median: short(row.median),
  p95: short(row.p95),
  p99: short(row.p99),
  'moves a job': short(row.movesPerJob),
  'lost by moves, s': Math.round(row.lost),
  'gained by moves, s': Math.round(row.gained),
  'moves in vain': `${Math.round(100 * row.vain)} %`,
});

const flat = ({ plan, rows }: Figures): Flat =>
  Object.fromEntries(
    rows.flatMap((row) => {
      const of = (what: string, value: number) =>
        [`${nameOf(plan)}: ${NAMES[row.policy]}: ${what}`, short(value)] as const;
      return [
        ...[of('mean slowdown', row.mean), of('median', row.median), of('p95', row.p95), of('p99', row.p99)],
        ...(row.moves === 0
          ? []
          : [
              ...[of('moves a job', row.movesPerJob), of('seconds lost', row.lost)],
              ...[of('seconds gained', row.gained), of('share of moves in vain', row.vain)],
            ]),
      ];
    }),
  );
