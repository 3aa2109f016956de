import { describe, expect, it } from 'vitest';
import { Copies } from '../../agent/daemon/jobs/copies';
import { newCopy, renumber } from '../../agent/daemon/jobs/copy';

const ROOT = { name: 'root', uid: 0, gid: 0, groups: [] };
const TERMS = { user: ROOT, limits: {}, address: null, terminal: false, shown: null, allocation: null };

const copyOf = (job: string, epoch = 0) =>
  newCopy({ job, epoch, home: 'node2' }, TERMS, {
    cgroup: `/cgroup/${job}.${epoch}`,
    report: `/reports/${job}.${epoch}`,
    files: epoch,
    launchedStopped: false,
  });

it('a copy that lives on under another epoch keeps the network that it has', () => {
  const copy = copyOf('job', 2);
  renumber(copy, 2);
  expect(copy.network).toBeNull();
  for (const epoch of [5, 9]) renumber(copy, epoch);
  expect(copy).toMatchObject({ epoch: 9, network: 2 });
});

describe('the copies of a node', () => {
  it('know a job while it is launched, and take no second one of it', async () => {
    const copies = new Copies({ isLeaving: () => false });
    let launched = () => {};
    const launch = copies.launching('job', 'node2', () => new Promise<void>((done) => (launched = done)));
    expect(copies.homeOf('job')).toBe('node2');
    await expect(copies.launching('job', 'node3', async () => {})).rejects.toMatchObject({
      code: 'job-exists',
    });
    copies.add(copyOf('job'));
    launched();
    await launch;
    await expect(copies.launching('job', 'node3', async () => {})).rejects.toMatchObject({
      code: 'job-exists',
    });
    expect(copies.jobs).toEqual(['job']);
    copies.delete('job');
    expect(copies.homeOf('job')).toBe(null);
  });

  it('give out one that is here and stays, and no other', () => {
    let leaving = false;
    const copies = new Copies({ isLeaving: () => leaving });
    expect(() => copies.settled('job')).toThrow(expect.objectContaining({ code: 'job-moving' }));
    const copy = copyOf('job');
    copies.add(copy);
    expect(copies.settled('job')).toBe(copy);
    leaving = true;
    expect(() => copies.settled('job')).toThrow(expect.objectContaining({ code: 'job-moving' }));
  });

  it('tell whether one is still the job only when the move that may take it away is over', async () => {
    let leaving = true;
    const copies = new Copies({ isLeaving: () => leaving });
    const [kept, gone] = [copyOf('kept'), copyOf('gone')];
    for (const copy of [kept, gone]) copies.add(copy);
    let told = false;
    const stays = copies.isStillTheJob(kept).finally(() => (told = true));
    const leaves = copies.isStillTheJob(gone);
    copies.delete('gone');
    await expect(leaves).resolves.toBe(false);
    expect(told).toBe(false);
    leaving = false;
    await expect(stays).resolves.toBe(true);
    // Another copy of the job is not this one.
    copies.add(copyOf('kept', 3));
    await expect(copies.isStillTheJob(kept)).resolves.toBe(false);
  });
});
