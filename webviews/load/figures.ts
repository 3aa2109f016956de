/** The figures of a node's load, as texts. */
import { size } from '../../agent/api/figures';
import type { NodeLoad } from '../messages';

/** At most two decimals: `1`, `0.5`, `1.33`. */
export const figure = (value: number): string => String(Number(value.toFixed(2)));

export type Measure = 'cpu' | 'memory';

export const MEASURES: Record<Measure, { title: string; color: string; limit(node: NodeLoad): number }> = {
  cpu: { title: 'CPU', color: '--blue', limit: ({ cpus }) => cpus },
  memory: { title: 'Memory', color: '--purple', limit: ({ memTotal }) => memTotal },
};

export const amount = (measure: Measure, value: number): string =>
  measure === 'cpu' ? figure(value) : size(value);

/** `1.26 of 2`, `1.4 of 25 GB`. */
export function share(measure: Measure, value: number | null | undefined, limit: number): string {
  if (value === null || value === undefined) return 'not known';
  return limit > 0 ? `${amount(measure, value)} of ${amount(measure, limit)}` : amount(measure, value);
}

/** What a chart shows, for those who can't see it: `now 1.26 of 2; in the last 2 minutes between 0 and 1.9`. */
export function inWords(measure: Measure, node: NodeLoad): string {
  const values = node.series[measure].filter((value) => value !== null);
  if (values.length === 0) return 'not known';
  const now = share(measure, node.series[measure].at(-1), MEASURES[measure].limit(node));
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return `now ${now}; in the last 2 minutes between ${amount(measure, least)} and ${amount(measure, most)}`;
}
