/** A TCP connection that no process has accepted yet can't be saved: the program takes it before it is frozen. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { LabOfJobs } from '../support/lab-of-jobs';
import { inProject } from '../support/project';
import { says } from '../support/rounds';

const LIMIT_MS = 400_000;

const lab = new LabOfJobs('pending');

it(
  'a busy server moves, and no client of it is turned away',
  async () => {
    const job = await lab.launched(['python3', inProject('test', 'programs', 'acceptor.py'), lab.folder]);
    for (const node of ['node2', 'node3', 'node1']) await lab.godwit.migrate(job, node);
    writeFileSync(join(lab.folder, 'end'), '');
    await lab.godwit.wait(job);
    expect(await lab.godwit.logs(job)).toBe('ready\ndone\n');
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
    const job = await lab.launched(['python3', '-c', LATE]);
    const { can, obstacles } = await lab.godwit.why(job, 'node2');
    expect({ can, obstacles }).toMatchObject({ can: false, obstacles: [{ code: 'connection-pending' }] });
    expect(obstacles[0]!.what).toMatch(/^process 2 \(python3\) has not accepted .* 127\.0\.0\.1:\d+$/);
    await expect(lab.godwit.migrate(job, 'node2')).rejects.toThrow(/has not accepted/);
    expect((await lab.godwit.history(job)).map(({ event }) => event)).toEqual(['launched']);
    writeFileSync(join(lab.folder, 'accept'), '');
    await says(lab.consoleOf(job), 'accepted');
    await lab.godwit.migrate(job, 'node2');
    writeFileSync(join(lab.folder, 'say'), '');
    await says(lab.consoleOf(job), 'all of it');
  },
  LIMIT_MS,
);
