/** A node's own word about moves that homes make by themselves. */
import type { Handlers } from '../../api/contract';
import type { PeerContract } from '../../api/peer-contract';
import type { Gate } from '../balance/gate';
import type { NodeSaid } from '../balance/known';
import type { Copies } from '../jobs/copies';

export interface GateParts {
  gate: Gate;
  copies: Copies;
  /** This node as it is now. */
  said: () => Promise<NodeSaid>;
}

/** One home can't speak for another's job. */
const keyOf = (home: string, job: string) => `${home}/${job}`;

export const gateAnswers = ({
  gate,
  copies,
  said,
}: GateParts): Pick<Handlers<PeerContract>, 'balance.ask' | 'balance.leave' | 'balance.over'> => ({
  'balance.ask': async ({ job, ...asking }, { name }) => {
    const answer = gate.ask({ ...asking, job: keyOf(name, job) }, await said(), performance.now());
    return { refused: answer.ok ? null : answer.why };
  },
  'balance.leave': ({ job }, { name }) => ({
    may: copies.homeOf(job) === name && gate.leave(keyOf(name, job), performance.now()),
  }),
  'balance.over': ({ job }, { name }) => {
    const key = keyOf(name, job);
    gate.left(key);
    if (copies.homeOf(job) === name) gate.came(key, performance.now());
    else gate.withdrawn(key);
    return {};
  },
});
