/** A keeper of another version is replaced when nothing would be lost, and what is asked meanwhile waits for the next. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Handlers } from '../../agent/api/contract';
import type { Daemons } from '../../agent/daemon/homefs/daemons';
import { Copies } from '../../agent/daemon/jobs/copies';
import type { Copy } from '../../agent/daemon/jobs/copy';
import { dispensable } from '../../agent/daemon/jobs/dispensable';
import { type KeeperContract, keeperContract } from '../../agent/keeper/contract';
import { KeeperLink } from '../../agent/keeper/link';
import { Processes } from '../../agent/keeper/processes';
import { Retirement } from '../../agent/keeper/retirement';
import { type Server, serveUnix } from '../../agent/wire/server';

let folder: string;
const ends: (() => unknown)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-replacing-'));
});
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
  rmSync(folder, { recursive: true });
});

function gate(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** A keeper that tells `heard` what it is asked for, and at its retirement says this. */
async function keeper(name: string, heard: string[], holds: string | null): Promise<Server> {
  const handlers = {
    'keeper.identity': () => ({ id: name, keeper: 1 }),
    'process.forget': ({ key }: { key: string }) => {
      heard.push(`${name} ${key}`);
      return {};
    },
    'keeper.retire': ({ but }: { but: string[] }) => {
      heard.push(`${name} retires but for ${but}`);
      if (holds === null) setImmediate(() => void server.close());
      return { holds };
    },
  } as unknown as Handlers<KeeperContract>;
  const server = await serveUnix({
    ...{ path: join(folder, 'keeper.sock'), name, kind: 'keeper', contract: keeperContract, handlers },
  });
  return server;
}

function link(): KeeperLink {
  const made = new KeeperLink(
    { path: join(folder, 'keeper.sock') },
    { name: 'node1', kind: 'agent', contract: keeperContract, patienceMs: 10_000 },
  );
  ends.push(() => made.close());
  return made;
}

it('what was asked before goes to the keeper that ends, what is asked meanwhile to the next', async () => {
  const heard: string[] = [];
  const first = await keeper('first', heard, null);
  const agent = link();
  const before = agent.call('process.forget', { key: 'before' });
  const replaced = agent.replace(['a', 'b']);
  const meanwhile = agent.call('process.forget', { key: 'meanwhile' });
  await before;
  await first.close();
  const second = await keeper('second', heard, null);
  ends.push(() => second.close());
  expect(await replaced).toBeNull();
  await meanwhile;
  expect(heard).toEqual(['first before', 'first retires but for a,b', 'second meanwhile']);
});

it('one that holds something goes on, and so does what is asked of it', async () => {
  const heard: string[] = [];
  const first = await keeper('first', heard, 'a debugger');
  ends.push(() => first.close());
  const agent = link();
  const replaced = agent.replace([]);
  const meanwhile = agent.call('process.forget', { key: 'meanwhile' });
  expect(await replaced).toBe('a debugger');
  await meanwhile;
  await agent.call('process.forget', { key: 'later' });
  expect(heard).toEqual(['first retires but for ', 'first meanwhile', 'first later']);
});

it('one that can not be asked to end goes on', async () => {
  const { 'keeper.retire': _, ...contract } = keeperContract;
  const handlers = { 'process.forget': () => ({}) } as unknown as Handlers<typeof contract>;
  const path = join(folder, 'keeper.sock');
  const first = await serveUnix({ path, name: 'first', kind: 'keeper', contract, handlers });
  ends.push(() => first.close());
  const agent = link();
  await expect(agent.replace([])).rejects.toMatchObject({ code: 'no-such-method' });
  await agent.call('process.forget', { key: 'later' });
});

it('a keeper holds what runs beside the processes that can do without it', async () => {
  const processes = new Processes();
  const start = (key: string, seconds: number) =>
    processes.start({ key, argv: ['sleep', `${seconds}`], env: { PATH: process.env.PATH! } });
  ends.push(() => processes.signal('launch', 'SIGKILL'));
  await start('launch', 1_000);
  await start('dump', 1_000);
  const but = new Set(['launch']);
  expect(processes.runningBut(but)).toBe('dump');
  processes.signal('dump', 'SIGKILL');
  await processes.wait('dump', new AbortController().signal);
  expect(processes.runningBut(but)).toBeNull();
  expect(processes.runningBut(new Set())).toBe('launch');
});

it('a keeper that does something for an agent does not end, and one that ends does nothing', async () => {
  const retirement = new Retirement();
  const { promise: parking, resolve: parked } = gate();
  const asked: string[] = [];
  const answers = retirement.until({
    'keeper.retire': () => retirement.ask(() => null),
    'job.park': () => parking,
    'job.forget': () => asked.push('forget'),
    'process.line': () => new Promise(() => {}),
  } as unknown as Handlers<KeeperContract>);
  const ask = async (method: 'keeper.retire' | 'job.park' | 'job.forget' | 'process.line') =>
    (answers[method] as (...given: unknown[]) => unknown)({}, {});
  void ask('process.line');
  const park = ask('job.park');
  expect(await ask('keeper.retire')).toEqual({ holds: 'a request' });
  await ask('job.forget');
  parked();
  await park;
  expect(await ask('keeper.retire')).toEqual({ holds: null });
  for (const method of ['job.forget', 'process.line'] as const)
    await expect(ask(method)).rejects.toMatchObject({ code: 'connection-lost' });
  expect(asked).toEqual(['forget']);
  await retirement.begun;
});

it('nothing can do without it while a job is launched or moved', async () => {
  const copies = new Copies({ isLeaving: () => false });
  copies.add({ job: 'abcdefghi0', supervisor: 'launch:abcdefghi0' } as Copy);
  const daemons = [{ keys: async () => ['served:x'] }, { keys: async () => [] }] as unknown as Daemons[];
  let isMoving = false;
  const held = { copies, daemons, isMoving: () => isMoving };
  expect(await dispensable(held)).toEqual(['launch:abcdefghi0', 'served:x']);
  const { promise, resolve: launched } = gate();
  const launching = copies.launching('bbbbbbbbbb', 'node1', () => promise);
  expect(await dispensable(held)).toBeNull();
  launched();
  await launching;
  isMoving = true;
  expect(await dispensable(held)).toBeNull();
});
