/** File servers whose agent has ended in the midst of starting them: the next agent finds and ends them. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Daemons } from '../../agent/daemon/homefs/daemons';
import type { KeeperContract } from '../../agent/keeper/contract';
import { Processes } from '../../agent/keeper/processes';
import { isAlive, killPid, startOf } from '../../agent/machine/proc/identity';
import type { Link } from '../../agent/wire/link';

const NAME = `server-${process.pid}`;
/** A process with that name among its words, which says nothing and stays. */
const SILENT = (name: string) => ['sh', '-c', 'kill -STOP $$', name];

let folder = '';
let server = 0;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-daemons-'));
});
afterEach(() => {
  if (server) killPid(server);
  server = 0;
  rmSync(folder, { recursive: true });
});

const never = new AbortController().signal;

/** What of a keeper it takes. `answer`: what the agent gets to hear of a new process. */
function keeper(processes: Processes, answer: (line: Promise<unknown>) => Promise<unknown>) {
  const methods: Record<string, (params: never) => unknown> = {
    'process.start': async (order: Parameters<Processes['start']>[0]) => {
      const started = await processes.start(order);
      server = started.pid;
      return started;
    },
    'process.line': ({ key, index }: { key: string; index: number }) =>
      answer(processes.line(key, index, never)),
    'process.list': () => processes.list(),
    'process.signal': ({ key, signal }: { key: string; signal: NodeJS.Signals }) =>
      processes.signal(key, signal),
    'process.wait': ({ key }: { key: string }) => processes.wait(key, never),
    'process.forget': ({ key }: { key: string }) => processes.forget(key),
  };
  const call = async (method: string, params: unknown) => methods[method]!(params as never);
  return { call } as unknown as Link<KeeperContract>;
}

const dies = () => Promise.reject(new Error('the agent is killed'));

it.each([
  ['the keeper that holds it', (held: Processes) => held],
  ['another keeper, which knows nothing of it', () => new Processes()],
])('one is found by its socket and ended, with %s', async (_, heldAfterwards) => {
  const held = new Processes();
  const killed = new Daemons(folder, keeper(held, dies), 'served');
  await expect(killed.start(NAME, 'wire', SILENT)).rejects.toThrow('the agent is killed');
  const identity = { pid: server, started: (await startOf(server))! };
  expect(await isAlive(identity)).toBe(true);

  const next = new Daemons(
    folder,
    keeper(heldAfterwards(held), (line) => line),
    'served',
  );
  expect(await next.names()).toEqual([NAME]);
  expect(await next.find(NAME)).toBeNull();
  await next.end(NAME);
  await expect.poll(() => isAlive(identity)).toBe(false);
  expect(await next.names()).toEqual([]);
  expect(readdirSync(folder)).toEqual([]);
});
