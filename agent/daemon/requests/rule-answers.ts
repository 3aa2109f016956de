/** What a person decides of nodes, told to each of them; and what each node costs the next job. */
import type { BalanceStatus, ClientContract } from '../../api/client-contract';
import type { Handlers } from '../../api/contract';
import { asGodwitError, noSuchNode, rootOnly } from '../../api/errors';
import type { User } from '../../api/model';
import type { RuleChange } from '../../api/node-rules';
import { marginal } from '../balance/cost';
import { known } from '../balance/known';
import { UNKNOWN_JOB } from '../balance/place';
import type { Members } from '../cluster/members';
import type { Peers } from '../cluster/peers';
import { isRoot } from './rights';

/** A node that does not answer must not make a person wait. */
const SOON = { timeoutMs: 5_000 };

export interface RuleParts {
  members: Pick<Members, 'said'>;
  peers: Pick<Peers, 'call' | 'names'>;
}

export const ruleAnswers = (
  parts: RuleParts,
): Pick<Handlers<ClientContract>, 'nodes.rule' | 'balance.status'> => ({
  'nodes.rule': async ({ nodes, rule }, { user }) => {
    if (!isRoot(user)) throw rootOnly('what is decided of a node');
    const { names } = parts.peers;
    for (const name of nodes ?? []) if (!names.includes(name)) throw noSuchNode(name, names);
    const { rules, unheard } = await told(parts, nodes ?? names, rule, user);
    return { rules, unheard };
  },
  'balance.status': async (_params, { user }) => statusOf(parts, user),
});

async function told(
  { peers }: RuleParts,
  names: readonly string[],
  rule: RuleChange,
  user: User | undefined,
) {
  const as = user ?? null;
  const asked = names.map((name) =>
    peers.call(name, 'node.rules', { ...rule, as }, SOON).then(
      (rules) => ({ name, ...rules }),
      (error) => ({ name, why: asGodwitError(error).message }),
    ),
  );
  const answers = await Promise.all(asked);
  return {
    rules: answers.filter((answer) => 'balancing' in answer),
    unheard: answers.filter((answer) => 'why' in answer),
  };
}

async function statusOf(parts: RuleParts, user: User | undefined): Promise<BalanceStatus> {
  const said = await parts.members.said();
  const { rules } = await told(parts, parts.peers.names, {}, user);
  const nodes = said.map((node) => {
    const rule = rules.find(({ name }) => name === node.name);
    const fit = known(node);
    const why = !rule
      ? 'it does not answer'
      : rule.draining
        ? 'it is drained: its jobs leave'
        : rule.balancing
          ? 'jobs of this home move by themselves'
          : 'jobs of this home move when told';
    const cost = fit && marginal(fit, UNKNOWN_JOB);
    return { name: node.name, on: rule?.balancing ?? null, draining: rule?.draining ?? null, cost, why };
  });
  return { on: nodes.every(({ on }) => on !== false) && nodes.some(({ on }) => on === true), nodes };
}
