/** A process that outlives who starts it can be found from its first moment on. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { startDetached } from '../../agent/machine/daemons/detached';
import { isAlive, readIdentity } from '../../agent/machine/proc/identity';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-detached-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const read = (file: string) => readFileSync(file, 'utf8');

it('is named before it runs: who starts it may be killed meanwhile', async () => {
  for (let round = 0; round < 20; round++) {
    const [log, pidFile] = [join(folder, `log-${round}`), join(folder, `pid-${round}`)];
    const identity = await startDetached({ argv: ['cat', pidFile], log, pidFile });
    await vi.waitFor(() => expect(read(log)).toBe(`${identity.pid} ${identity.started}\n`));
    expect(await readIdentity(pidFile)).toEqual(identity);
  }
});

it('is known for certain, also one that becomes another program', async () => {
  const [log, pidFile] = [join(folder, 'log'), join(folder, 'pid')];
  const identity = await startDetached({ argv: ['env', 'sleep', '1000'], log, pidFile });
  expect(await isAlive(identity)).toBe(true);
  process.kill(identity.pid, 'SIGKILL');
  await vi.waitFor(async () => expect(await isAlive(identity)).toBe(false));
});

it('that can’t be started ends, and says why in its log', async () => {
  const [log, pidFile] = [join(folder, 'log'), join(folder, 'pid')];
  const identity = await startDetached({ argv: [join(folder, 'absent')], log, pidFile });
  await vi.waitFor(async () => expect(await isAlive(identity)).toBe(false));
  await vi.waitFor(() => expect(read(log)).toMatch(/absent: not found/));
});
