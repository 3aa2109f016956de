/** Whether jobs move by themselves, and which nodes they leave. */
import { GodwitError } from '../../agent/api/errors';
import type { RuleChange } from '../../agent/api/node-rules';
import type { Cluster } from '../cluster/cluster';
import { askForNode } from '../prompts/places';
import { tell } from '../window';
import { nodeGiven } from './targets';

export class Balance {
  constructor(private readonly cluster: Cluster) {}

  /** Resolves with whether jobs move by themselves now. */
  async set(balancing: boolean): Promise<boolean> {
    await this.#rule(null, { balancing });
    const text = balancing
      ? 'Balance is on: jobs move by themselves to better nodes, unless they are pinned.'
      : 'Balance is off: jobs move only when they are moved, or when their node is drained.';
    void tell('information', text);
    return balancing;
  }

  /** Resolves with the node; undefined when the person gave it up. */
  async drain(given: unknown, draining: boolean): Promise<string | undefined> {
    const node = nodeGiven(given) ?? (await this.#ask(draining));
    if (typeof node !== 'string') return undefined;
    await this.#rule([node], { draining });
    const text = draining
      ? `${node} is drained: its jobs move to other nodes, and none comes to it.`
      : `Jobs may come to ${node} again.`;
    void tell('information', text);
    return node;
  }

  #ask(draining: boolean) {
    const title = draining ? 'Drain Node' : 'Undrain Node';
    const placeholder = draining ? 'The node that is to be empty' : 'The node that may have jobs again';
    return askForNode(this.cluster, { title, placeholder, named: true });
  }

  /** @param nodes null for all @throws GodwitError what keeps a node from being told */
  async #rule(nodes: string[] | null, rule: RuleChange): Promise<void> {
    const { unheard } = await this.cluster.call('nodes.rule', { nodes, rule });
    const [first] = unheard;
    if (!first) return;
    const names = unheard.map(({ name }) => name).join(', ');
    throw new GodwitError({ code: 'node-unreachable', message: `${names} was not told: ${first.why}` });
  }
}
