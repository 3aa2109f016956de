/** The home's file servers: none outlives the copy that it is for, in whatever order things come. */
import { describe, expect, it } from 'vitest';
import { jobEnded } from '../../agent/api/errors';
import type { Daemons } from '../../agent/daemon/homefs/daemons';
import { ServedFiles } from '../../agent/daemon/homefs/served';
import type { HomedJob, Journal } from '../../agent/daemon/journal/journal';
import { logTo } from '../../agent/log';
import { Tickets } from '../../agent/wire/tickets';

const ASKED = { job: 'abcdefghij', epoch: 1, node: 'node2', wire: 'w' };
const NAME = 'abcdefghij.1.node2';

/** A home with one job, whose servers are names; each start lasts until it is let go. */
function home() {
  const servers = new Set<string>();
  const starts: (() => void)[] = [];
  const job = {
    state: 'running',
    spec: { user: { uid: 0, gid: 0, groups: [] } },
    ledger: { host: 'node1', open: { move: { from: 'node1', to: 'node2' } }, debts: [] as unknown[] },
  };
  const daemons: Pick<Daemons, 'names' | 'find' | 'start' | 'end'> = {
    names: async () => [...servers],
    find: async () => null,
    start: async (name) => {
      await new Promise<void>((resolve) => starts.push(resolve));
      servers.add(name);
    },
    end: async (name) => void servers.delete(name),
  };
  const journal: Pick<Journal, 'job'> = { job: async () => job as unknown as HomedJob };
  const options = { journal, tickets: new Tickets(), program: 'homefs', without: [], log: logTo(() => {}) };
  return { job, servers, starts, files: new ServedFiles({ ...options, daemons: daemons as Daemons }) };
}

const begun = (starts: unknown[]) => expect.poll(() => starts.length).toBe(1);

describe('a server of the home’s files', () => {
  it('stays while a node has a copy, and goes when none has', async () => {
    const { job, servers, starts, files } = home();
    const opened = files.open(ASKED);
    await begun(starts);
    starts[0]!();
    await opened;
    files.review();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect([...servers]).toEqual([NAME]);
    job.state = 'ended';
    files.review();
    await expect.poll(() => [...servers]).toEqual([]);
    await expect(files.open(ASKED)).rejects.toThrow(jobEnded(ASKED.job).message);
  });

  it('goes too where the job ends, and all is looked through, while it starts', async () => {
    const { job, servers, starts, files } = home();
    const opened = files.open(ASKED);
    await begun(starts);
    job.state = 'ended';
    files.review();
    await new Promise((resolve) => setTimeout(resolve, 50));
    starts[0]!();
    await opened;
    await expect.poll(() => [...servers]).toEqual([]);
  });
});
