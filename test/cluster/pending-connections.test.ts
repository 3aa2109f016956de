/** A TCP connection that no process has accepted yet can't be saved: the program takes it before it is frozen. */
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { Godwit } from '../support/godwit';
import { inProject } from '../support/project';
import { says } from '../support/rounds';

const LAB = `pending-${process.pid}`;
const LIMIT_MS = 400_000;

let godwit: Godwit;
let folder = '';
const jobs: string[] = [];

beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'godwit-pending-')));
  godwit = await Godwit.labUp(LAB, { temp: folder });
});
afterEach(async () => {
  for (const job of jobs.splice(0)) await godwit.kill(job).catch(() => {});
});
afterAll(async () => {
  await Godwit.labDown(LAB);
  rmSync(folder, { recursive: true, force: true });
});

const consoleOf = (job: string) => join('/var/lib/godwit/labs', LAB, 'node1', 'jobs', job, 'console');
async function launched(argv: string[]): Promise<string> {
  const { id } = await godwit.run(argv, { cwd: folder });
  jobs.push(id);
  await says(consoleOf(id), 'ready');
  return id;
}

it(
  'a busy server moves, and no client of it is turned away',
  async () => {
    const job = await launched(['python3', inProject('test', 'programs', 'acceptor.py'), folder]);
    for (const node of ['node2', 'node3', 'node1']) await godwit.migrate(job, node);
    writeFileSync(join(folder, 'end'), '');
    await godwit.wait(job);
    expect(await godwit.logs(job)).toBe('ready\ndone\n');
  },
  LIMIT_MS,
);

/** It accepts when it is told so. */
const LATE = `
import os, socket, time
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(8)
client = socket.create_connection(listener.getsockname())
client.sendall(b"all of it")
print("ready", flush=True)
while not os.path.exists("accept"):
    time.sleep(0.02)
taken, _ = listener.accept()
print("accepted", flush=True)
while not os.path.exists("say"):
    time.sleep(0.02)
print(taken.recv(64).decode(), flush=True)
`;

it(
  'one that does not accept is refused by name before it is frozen, and moves when it has',
  async () => {
    const job = await launched(['python3', '-c', LATE]);
    const { can, obstacles } = await godwit.why(job, 'node2');
    expect({ can, obstacles }).toMatchObject({ can: false, obstacles: [{ code: 'connection-pending' }] });
    expect(obstacles[0]!.what).toMatch(/^process 2 \(python3\) has not accepted .* 127\.0\.0\.1:\d+$/);
    await expect(godwit.migrate(job, 'node2')).rejects.toThrow(/has not accepted/);
    expect((await godwit.history(job)).map(({ event }) => event)).toEqual(['launched']);
    writeFileSync(join(folder, 'accept'), '');
    await says(consoleOf(job), 'accepted');
    await godwit.migrate(job, 'node2');
    writeFileSync(join(folder, 'say'), '');
    await says(consoleOf(job), 'all of it');
  },
  LIMIT_MS,
);
