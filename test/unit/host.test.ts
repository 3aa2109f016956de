import { EventEmitter } from 'node:events';
import { expect, it } from 'vitest';
import type { EndOfJob } from '../../agent/api/peer-contract';
import { Copies } from '../../agent/daemon/jobs/copies';
import { newCopy } from '../../agent/daemon/jobs/copy';
import { Host, type HostOptions } from '../../agent/daemon/jobs/host';

const ROOT = { name: 'root', uid: 0, gid: 0, groups: [] };

it('a copy whose files are lost for good is cleared away, and its home told why', async () => {
  const copies = new Copies({ isLeaving: () => false });
  const copy = newCopy(
    { job: 'job', epoch: 3, home: 'node2' },
    { user: ROOT, limits: {}, address: null, terminal: false, shown: null, allocation: null },
    { cgroup: '/cgroup/job.3', report: '/reports/job.3', files: 3, launchedStopped: false },
  );
  copies.add(copy);
  const mounted = new EventEmitter();
  const told: [string, string, EndOfJob][] = [];
  const cleared: unknown[] = [];
  const over = new Promise<string>((clearNote) => {
    new Host({
      ...{ node: 'node1', copies, mounted, log: () => {} },
      peers: {
        call: async (node: string, method: string, end: EndOfJob) => void told.push([node, method, end]),
      },
      clearing: { clear: async (one: unknown) => void cleared.push(one) },
      journal: { clearNote },
    } as unknown as HostOptions);
  });
  const mount = { job: 'job', home: 'node2', uid: 0, cgroup: '/cgroup/job.3' };
  // Another mount than the one that the copy has now is none of its.
  mounted.emit('lost', { ...mount, epoch: 2 }, 'an earlier one');
  mounted.emit('lost', { ...mount, epoch: 3 }, 'the server has died');
  await expect(over).resolves.toBe('job');
  expect(told).toEqual([
    [
      'node2',
      'home.ended',
      expect.objectContaining({
        job: 'job',
        epoch: 3,
        lost: expect.stringMatching(/node2 .*the server has died/),
      }),
    ],
  ]);
  expect(cleared).toEqual([copy]);
  expect(copies.jobs).toEqual([]);
});
