/** The Stacks view: where the threads of a job stand, their sources, and a debugger for one of them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { compile, lineOf } from '../support/c-programs';
import { Godwit } from '../support/godwit';
import { inProject } from '../support/project';
import { newestPackage } from './harness/extension';
import { Vscode } from './harness/vscode';
import { until } from './harness/wait';

const LAB = `t${process.pid}-stacks`;
const TEST_MS = 400_000;
const RANKS = inProject('test/programs/ranks.c');

let vscode: Vscode;
let godwit: Godwit;
let folder: string;
const jobs: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-stacks-'));
  const ranks = await compile(RANKS, folder);
  godwit = await Godwit.labUp(LAB, { nodes: 2 });
  vscode = await Vscode.open({
    view: 'Godwit',
    env: { GODWIT_LAB: LAB },
    extensions: [newestPackage()],
    atEnd: Godwit.downCommand(LAB),
  });
  for (const name of ['sim-one', 'sim-two']) {
    const { id } = await godwit.run([ranks, '2', '8', '1'], { name });
    await until(
      'it is ready',
      () => godwit.logs(id),
      (text) => text === 'ready\n',
    );
    jobs.push(id);
  }
  await vscode.workbench.openView('Godwit');
  await until('the jobs', labels, (seen) => seen.includes('sim-one') && seen.includes('sim-two'));
}, TEST_MS);

afterAll(async () => {
  await vscode?.close();
  await Godwit.labDown(LAB);
  rmSync(folder, { recursive: true, force: true });
}, TEST_MS);

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await vscode?.keep(`stacks-${task.name}`).catch(() => {});
});

const labels = () => vscode.workbench.rows.locator('.label-name').allInnerTexts();
const unfold = async (text: string) => {
  await vscode.workbench.row(text).click();
};

test('shows the stacks of all jobs, equal ones together', { timeout: TEST_MS }, async () => {
  await vscode.workbench.command('Godwit: Stacks');
  await vscode.workbench.pick('Stacks', 'All jobs');
  const seen = await until('stacks', labels, (all) => all.some((label) => / in exchange/.test(label)));
  expect(seen.filter((label) => / in /.test(label))).toEqual(
    expect.arrayContaining(['32 in exchange()', '4 in solve()', '4 in gather()']),
  );
});

test('opens the source of a frame', { timeout: TEST_MS }, async () => {
  await unfold('32 in exchange()');
  const frames = await until('frames', labels, (all) => all.includes('exchanging'));
  const at = frames.indexOf('32 in exchange()');
  expect(frames.slice(at + 1).filter((label) => label === 'exchange')).toHaveLength(3);
  const called = `ranks.c:${lineOf(RANKS, 'exchange(depth - 1)')}`;
  await vscode.workbench.row(called).click();
  await vscode.workbench.page.locator('.tab.active', { hasText: 'ranks.c' }).waitFor();
  await vscode.workbench.page.getByText(`Ln ${called.split(':')[1]}, Col 1`).waitFor();
});

test('debugs the process that is picked', { timeout: TEST_MS }, async () => {
  await unfold('Threads');
  const [job] = jobs;
  const row = vscode.workbench.rows.filter({ hasText: '· sim-one' }).first();
  await row.hover();
  await row.locator('.actions .action-label[aria-label^="Debug This Process"]').click();
  await until(
    'a debugger',
    () => godwit.job(job!),
    ({ debugged }) => debugged,
  );
  await vscode.workbench.debug.press('Disconnect');
  await until(
    'no debugger',
    () => godwit.job(job!),
    ({ debugged }) => !debugged,
  );
});

test('is read again, after a move as before', { timeout: TEST_MS }, async () => {
  await godwit.migrate(jobs[0]!, 'node2');
  await godwit.kill(jobs[1]!);
  await vscode.workbench.openView('Godwit');
  await vscode.workbench.command('Godwit: Read Stacks Again');
  await until('stacks of the one that is left', labels, (all) => all.includes('16 in exchange()'));
});
