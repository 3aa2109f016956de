/** The webviews in a real workbench: what they show of a real cluster, and what they keep. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { span } from '../../agent/api/figures';
import { killAgent, restartAgent } from '../../agent/lab/lab';
import { Godwit } from '../support/godwit';
import { newestPackage } from './harness/extension';
import { Vscode } from './harness/vscode';
import { until } from './harness/wait';

const LAB = 'panels';
const SUITE_MS = 300_000;
/** A line every fifth of a second, each once. */
const COUNTER = 'i=0; while [ $i -lt 100000 ]; do echo "line $i"; i=$((i+1)); sleep 0.2; done';
const PHASES = ['prepare', 'park', 'dump', 'transfer', 'restore', 'commit', 'thaw'];

let vscode: Vscode;
let godwit: Godwit;
let job: string;
/** What the browser refused for a page's policy. */
const refused: string[] = [];

beforeAll(async () => {
  godwit = await Godwit.labUp(LAB);
  vscode = await Vscode.open({
    env: { GODWIT_LAB: LAB },
    extensions: [newestPackage()],
    atEnd: Godwit.downCommand(LAB),
  });
  vscode.workbench.page.on('console', (message) => {
    if (/Content Security Policy/.test(message.text())) refused.push(message.text());
  });
  job = (await godwit.run(['/bin/sh', '-c', COUNTER], { name: 'counter' })).id;
}, SUITE_MS);

afterAll(async () => {
  await vscode?.close();
  await Godwit.labDown(LAB);
}, SUITE_MS);

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await vscode?.keep(`panels-${task.name}`);
});

const shown = (title: string) => vscode.workbench.webview(title).content;
const show = async (title: string) => {
  await vscode.workbench.webview(title).tab.click();
  await vscode.workbench.webview(title).opened();
};

/** The numbers of the lines that the terminal shows. */
async function lines(): Promise<number[]> {
  const text = await shown('Console').locator('.xterm-rows').innerText();
  return [...text.matchAll(/line (\d+)/g)].map(([, number]) => Number(number));
}

async function expectOneLineAfterTheOther(): Promise<number> {
  const seen = await until('lines in the terminal', lines, ({ length }) => length > 3);
  expect(seen).toEqual(seen.map((_, index) => seen[0]! + index));
  return seen.at(-1)!;
}

test('Cluster Load has a card for each node, charts that say what they show, and a table', async () => {
  // The palette knows the commands of an extension as soon as its view is there.
  await vscode.workbench.openView('Godwit');
  await vscode.workbench.command('Godwit: Show Cluster Load');
  const load = shown('Cluster Load');
  await until(
    'charts',
    () => load.locator('canvas').evaluateAll((all) => all.map((one) => one.getAttribute('aria-label'))),
    (labels) => labels.length === 6 && labels.every((label) => /: now [\d.]+/.test(label ?? '')),
  );
  await load.getByRole('button', { name: 'Table' }).click();
  await load.getByRole('row', { name: /^node2 up/ }).waitFor();
});

/** What is used here of the browser's own, whose types these tests are without. */
interface Canvas {
  height: number;
  getContext(kind: '2d'): {
    getImageData(x: number, y: number, width: number, height: number): { data: Uint8ClampedArray };
  };
}

/** How light the labels left of a chart are: 0 black, 255 white. */
const lightnessOfLabels = () =>
  shown('Cluster Load')
    .locator('canvas')
    .first()
    .evaluate((element) => {
      const canvas = element as unknown as Canvas;
      const { data } = canvas.getContext('2d').getImageData(0, 0, 50, canvas.height);
      const inked = [...data.keys()].filter((at) => at % 4 === 0 && data[at + 3]! > 100);
      return inked.reduce((sum, at) => sum + data[at]!, 0) / inked.length;
    });

test('the charts take another theme’s colours at once', async () => {
  await shown('Cluster Load').getByRole('button', { name: 'Charts' }).click();
  const before = await until('labels', lightnessOfLabels, (lightness) => lightness >= 0);
  await vscode.workbench.command('Preferences: Toggle between Light/Dark Themes');
  await until('other colours', lightnessOfLabels, (after) => Math.abs(after - before) > 20);
  await shown('Cluster Load').getByRole('button', { name: 'Table' }).click();
});

test('the timeline has the stays of a job and, at the keyboard’s focus, the phases of a move', async () => {
  await vscode.workbench.command('Godwit: Show Migration Timeline');
  const timeline = shown('Migration Timeline');
  const lane = timeline.locator(`.lane[data-job="${job}"]`);
  await lane.locator('[data-kind="stay"]', { hasText: 'node1' }).waitFor();
  const report = await godwit.migrate(job, 'node2');
  await lane.locator('[data-kind="stay"]').nth(1).waitFor();
  const move = lane.locator('[data-kind="move"]');
  await until(
    'the report of the move',
    async () => (await move.getAttribute('aria-label')) ?? '',
    (label) => label.includes('frozen'),
  );
  await move.focus();
  const told = await timeline.getByRole('tooltip').innerText();
  for (const word of ['node1 → node2', ...PHASES, 'frozen', 'total', 'carried']) expect(told).toContain(word);
  expect(told).toContain(span(report.freezeMs));
  await vscode.workbench.page.keyboard.press('ArrowRight');
  expect(await timeline.getByRole('tooltip').innerText()).toMatch(/^node2\n[\s\S]*until\nnow/);
  await vscode.workbench.page.keyboard.press('Escape');
});

test('a console opens from the lane, has every line once, and follows the job', async () => {
  await shown('Migration Timeline').getByRole('button', { name: 'counter' }).click();
  await vscode.workbench.webview('Console: counter').opened();
  await shown('Console').getByText('on node2').waitFor();
  await expectOneLineAfterTheOther();
  await godwit.migrate(job, 'node3');
  await shown('Console').getByText('on node3').waitFor();
  await expectOneLineAfterTheOther();
});

test('an agent that is killed costs no line, and is missed by name', async () => {
  const before = await expectOneLineAfterTheOther();
  await killAgent(LAB, 'node1');
  await shown('Console').getByText('no agent answers').waitFor();
  await restartAgent(LAB, 'node1');
  await until('further lines', lines, (seen) => seen.at(-1)! > before + 10);
  await expectOneLineAfterTheOther();

  await show('Cluster Load');
  await killAgent(LAB, 'node1');
  await shown('Cluster Load').getByText('No agent answers;').waitFor();
  await shown('Cluster Load')
    .getByRole('row', { name: /^node1 / })
    .waitFor();
  await restartAgent(LAB, 'node1');
  await shown('Cluster Load').getByText('No agent answers;').waitFor({ state: 'hidden' });
  await show('Console: counter');
});

test('what was chosen and what was shown outlives a hide', async () => {
  const before = await expectOneLineAfterTheOther();
  await show('Cluster Load');
  await shown('Cluster Load')
    .getByRole('row', { name: /^node3 up/ })
    .waitFor();
  await show('Console: counter');
  expect(await expectOneLineAfterTheOther()).toBeGreaterThanOrEqual(before);
});

test('and a reload of the window', async () => {
  const { page } = vscode.workbench;
  await page.reload();
  await page.locator('.monaco-workbench .part.statusbar').waitFor();
  await show('Console: counter');
  await shown('Console').getByText('on node3').waitFor();
  await expectOneLineAfterTheOther();
  await show('Cluster Load');
  await shown('Cluster Load')
    .getByRole('row', { name: /^node3 up/ })
    .waitFor();
  await show('Migration Timeline');
  await shown('Migration Timeline').locator('[data-kind="move"]').nth(1).waitFor();
});

test('the end is told, and the last line is there', async () => {
  await show('Console: counter');
  await expectOneLineAfterTheOther();
  await godwit.kill(job);
  await shown('Console').getByText('ended by SIGKILL').waitFor();
  const printed = await godwit.logs(job);
  const last = Number(/line (\d+)\n$/.exec(printed)?.[1]);
  await until('the last line', lines, (seen) => seen.at(-1) === last);
  await show('Migration Timeline');
  await shown('Migration Timeline').locator('[data-kind="end"][data-how="badly"]').waitFor();
});

test('no page asked for what its policy forbids', () => {
  expect(refused).toEqual([]);
});
