/** What the gossip of members does and costs, for clusters of ten to ten thousand in one process. */
import { writeFileSync } from 'node:fs';
import type { BenchOptions } from '../options';
import { drawPicture } from './picture';
import { type Figures, measure, PLANS, wave } from './trials';

/** Members of the cluster whose suspicion is drawn. */
const DRAWN = 1_000;

export async function benchMembership({ numbers, picture }: BenchOptions): Promise<Record<string, number>> {
  const plans = PLANS.filter(({ members }) => numbers.length === 0 || numbers.includes(members));
  const all = plans.map((plan) => {
    process.stderr.write(`${plan.members} members …\n`);
    return measure(plan);
  });
  console.table(all.map(rowOf));
  if (picture) writeFileSync(picture, drawPicture(all, wave(DRAWN), DRAWN));
  return Object.assign({}, ...all.map(flatOf));
}

function rowOf({ members, suspected, down, joined, falsely, messages, bytes, age }: Figures) {
  return {
    members,
    'suspected, s': `${suspected.median} (${suspected.worst})`,
    'down, s': `${down.median} (${down.worst})`,
    'join known, s': joined,
    ...Object.fromEntries(
      falsely.map(({ what, suspected, dead, nodeHours }) => [
        `false at ${what}`,
        `${suspected}/h, ${dead} dead in ${nodeHours} h`,
      ]),
    ),
    'messages/s': messages,
    'bytes/s': bytes,
    'load, s old': age ? `${age.median} (${age.worst})` : '',
  };
}

function flatOf({ members, suspected, down, joined, falsely, messages, bytes, age }: Figures) {
  const of = (name: string, value: number) => [`${members} members: ${name}`, value] as const;
  return Object.fromEntries([
    of('suspected, median s', suspected.median),
    of('suspected, worst s', suspected.worst),
    of('down, median s', down.median),
    of('down, worst s', down.worst),
    of('join known, s', joined),
    ...falsely.flatMap(({ what, suspected, dead }) => [
      of(`false suspicions at ${what}, a node and hour`, suspected),
      of(`taken for dead at ${what}`, dead),
    ]),
    of('messages a node and second', messages),
    of('bytes a node and second', bytes),
    ...(age ? [of('load, median s old', age.median), of('load, worst s old', age.worst)] : []),
  ]);
}
