/** Which job is meant, when several nodes tell of it. */
import { expect, it } from 'vitest';
import type { Job } from '../../agent/api/model';
import type { Peers } from '../../agent/daemon/cluster/peers';
import { Dispatch } from '../../agent/daemon/requests/dispatch';

const ASKER = { user: null, connection: null } as never;
const job = (more: Partial<Job>) =>
  ({ id: 'abcdefghij', name: 'sim', home: 'node1', node: 'node2', state: 'running', ...more }) as Job;

/** A node that knows none itself; `told` has what each node answers. */
function dispatch(told: Record<string, Job[]>): Dispatch {
  const call = async (name: string, method: string) =>
    method === 'home.find' ? { jobs: told[name]! } : { arrays: [] };
  return new Dispatch({
    node: 'node3',
    home: {
      job: async () => {
        throw new Error('not known');
      },
    },
    peers: { names: Object.keys(told), call } as unknown as Peers,
    ownJobs: { handlers: {} as never },
    scopes: { of: () => ({ sees: () => true }) },
  });
}

it('one of which its host tells too, as its home was away for it, is one job, and its home’s word counts', async () => {
  const told = { node1: [job({})], node2: [job({ node: 'node9', homeSilentMs: 700 })] };
  for (const nodes of [told, { node2: told.node2, node1: told.node1 }]) {
    expect(await dispatch(nodes).find('sim', ASKER)).toMatchObject({ id: 'abcdefghij', home: 'node1' });
    expect(await dispatch(nodes).seen('abc', ASKER)).toMatchObject({ node: 'node2' });
  }
});

it('two of one name are told apart by their ids alone', async () => {
  const nodes = { node1: [job({})], node2: [job({ id: 'zyxwvutsrq', home: 'node2' })] };
  await expect(dispatch(nodes).find('sim', ASKER)).rejects.toThrow(
    '"sim" could be any of abcdefghij, zyxwvutsrq',
  );
  expect(await dispatch(nodes).find('zyx', ASKER)).toMatchObject({ id: 'zyxwvutsrq', home: 'node2' });
});
