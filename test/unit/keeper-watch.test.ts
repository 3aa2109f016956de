/** When an agent starts a keeper, and when it waits for one. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { KeeperWatch, keeperPidFile } from '../../agent/keeper/watch';

const folder = mkdtempSync(join(tmpdir(), 'godwit-watch-'));
const file = (name: string) => join(folder, name);
/** Of each, which process is named in its file when it begins, and which one it is. */
const begun = () => readFileSync(file('starts'), { encoding: 'utf8', flag: 'a+' }).split('\n').slice(0, -1);
const starts = () => begun().length;

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

it('waits for the keeper that it has started, however slow that is, and starts another when it has ended', async () => {
  // It takes as long as it is let.
  const slow =
    'read -r named _ <"$1/keeper.pid"; echo "$named $$" >>"$1/starts"; until [ -e "$1/go" ] || [ ! -d "$1" ]; do sleep 0.05; done; rm -f "$1/go"';
  // Each try to reach a keeper is a connection.
  let tries = 0;
  const server = createServer((socket) => {
    tries++;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(file('socket'), resolve));
  // Hours pass between two looks at the clock.
  let hours = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => ++hours * 3_600_000);
  const watch = new KeeperWatch({
    ...{
      node: 'one',
      state: folder,
      socket: file('socket'),
      log: Object.assign(() => {}, { with: vi.fn() }) as never,
    },
    argv: ['/bin/sh', '-c', slow, 'sh', folder],
    link: { replace: async () => null },
  });
  void watch.start();
  await vi.waitFor(() => expect(starts()).toBe(1), { timeout: 60_000 });
  for (const wanted of [1, 2]) {
    const before = tries;
    await vi.waitFor(() => expect(tries).toBeGreaterThan(before + 5), { timeout: 60_000 });
    expect(starts()).toBe(wanted);
    writeFileSync(file('go'), '');
    await vi.waitFor(() => expect(starts()).toBe(wanted + 1), { timeout: 60_000 });
  }
  // None is to be missed, neither by the next agent nor by who takes the node out, wherever this one is killed.
  for (const line of begun()) expect(line).toMatch(/^(\d+) \1$/);
  expect(readFileSync(keeperPidFile(folder), 'utf8')).toMatch(/^\d+ \d+\n$/);
  server.close();
});
