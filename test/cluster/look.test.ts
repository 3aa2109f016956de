/** What is said of a job that runs is of one moment, whatever its programs do meanwhile. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { descriptorObstacle } from '../../agent/daemon/preflight/descriptors';
import { readLooked } from '../../agent/machine/criu/look';
import { compile } from '../support/c-programs';
import { endAll, launch, run } from '../support/processes';
import { inProject } from '../support/project';

const HELPER = inProject('dist', 'godwit-helper');
const LOOKS = 150;
/** The helper is held up for so long after it has read a name, as it is on a machine that has no time for it. */
const LATE = ['strace', '-o', '/dev/null', '-e', 'trace=readlink', '-e', 'inject=readlink:delay_exit=2000'];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-look-'));
});
afterAll(() => {
  endAll();
  rmSync(folder, { recursive: true });
});

it('a file that is made and deleted again and again, under one number, is never taken for a deleted one with another name', async () => {
  const churn = launch([
    await compile(inProject('test', 'programs', 'churn.c'), folder),
    join(folder, 'file'),
  ]);
  const found = new Set<string>();
  for (let at = 0; at < LOOKS; at++) {
    const { stdout, status } = await run([...LATE, HELPER, 'look', `${churn.pid}`]);
    expect(status).toBe(0);
    for (const one of readLooked(stdout).descriptors) {
      found.add(one.name.endsWith(' (deleted)') ? 'deleted' : 'there');
      expect(descriptorObstacle(one, 'process 2 (churn)')).toBe(null);
    }
  }
  expect([...found].sort()).toEqual(['deleted', 'there']);
});
