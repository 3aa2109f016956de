import { noSuchNode } from '../../api/errors';
import { bestOf } from '../cluster/members';
import type { NodeParts } from './node';

/** The node that is meant by a name, `home` or `best`, by the job's home or the one to be. @throws `no-such-node` */
export async function chooseNode(
  { config, members, peers }: Pick<NodeParts, 'config' | 'members' | 'peers'>,
  wanted: string,
): Promise<string> {
  if (wanted === 'home') return config.name;
  if (wanted === 'best') return bestOf(await members.list())?.name ?? config.name;
  if (!peers.names.includes(wanted)) throw noSuchNode(wanted, peers.names);
  return wanted;
}
