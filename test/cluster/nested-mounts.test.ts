/** A job's process in a mount namespace of its own moves with all that it has mounted there. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { Godwit } from '../support/godwit';
import { inProject } from '../support/project';
import { goRounds, roundsOf, says } from '../support/rounds';

const LAB = `nested-${process.pid}`;
const LIMIT_MS = 400_000;

let godwit: Godwit;
let folder = '';
const jobs: string[] = [];

beforeAll(async () => {
  // Seen by every node, so a file that is looked for in the wrong place is found there, and is another one.
  folder = mkdtempSync('/var/lib/godwit/nested-');
  for (const name of ['plain', 'mounted/deep']) mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, 'mounted', 'deep', 'file'), 'below the mount');
  execFileSync('mount', ['-t', 'tmpfs', 'none', join(folder, 'mounted')]);
  mkdirSync(join(folder, 'mounted', 'deep'));
  writeFileSync(join(folder, 'mounted', 'deep', 'file'), 'deep');
  writeFileSync(join(folder, 'plain', 'file'), 'plain');
  godwit = await Godwit.labUp(LAB);
});
afterEach(async () => {
  for (const job of jobs.splice(0)) await godwit.kill(job).catch(() => {});
});
afterAll(async () => {
  await Godwit.labDown(LAB);
  execFileSync('umount', ['-l', join(folder, 'mounted')]);
  rmSync(folder, { recursive: true, force: true });
});

const consoleOf = (job: string) => join('/var/lib/godwit/labs', LAB, 'node1', 'jobs', job, 'console');

it(
  'through moves abroad, home, and out again',
  async () => {
    const nodes = ['node2', 'node3', 'node1', 'node3', 'node1'];
    const program = inProject('test', 'programs', 'nested-mounts.py');
    const kind = roundsOf(program, folder, nodes.length);
    const kinds = [{ ...kind, argv: ['python3', ...kind.argv] }];
    const outcomes = await goRounds(godwit, { kinds, nodes, folder, consoleOf });
    expect(outcomes).toEqual([{ what: kind.what, problem: null }]);
  },
  LIMIT_MS,
);

/** A file system whose content is on a device, or in another program, has nothing that could travel. */
it(
  'what it has mounted and CRIU can not save is refused by name before anything is frozen',
  async () => {
    const lines = [
      'mkdir -p low up work over',
      'mount -t overlay -o lowerdir=/usr,upperdir=up,workdir=work none over',
      'echo ready; exec sleep 1000000',
    ];
    const argv = [
      'unshare',
      '--mount',
      'sh',
      '-ec',
      `mkdir -p own && mount -t tmpfs none own && cd own\n${lines.join('\n')}`,
    ];
    const { id } = await godwit.run(argv, { cwd: folder });
    jobs.push(id);
    await says(consoleOf(id), 'ready');
    const { can, obstacles } = await godwit.why(id, 'node2');
    expect({ can, obstacles }).toMatchObject({ can: false, obstacles: [{ code: 'own-mount' }] });
    expect(obstacles[0]!.what).toMatch(/^the job has mounted .*\/own\/over itself, of the kind overlay/);
    expect((await godwit.history(id)).map(({ event }) => event)).toEqual(['launched']);
  },
  LIMIT_MS,
);
