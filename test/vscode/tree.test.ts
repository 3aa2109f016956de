/** The Cluster view while jobs come and go: what is pointed at stays, and a click is for the row that was clicked. */
import type { Locator } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Godwit } from '../support/godwit';
import { newestPackage } from './harness/extension';
import { Vscode } from './harness/vscode';
import { until } from './harness/wait';

const LAB = `t${process.pid}-tree`;
const TEST_MS = 400_000;
const CLICKS = 30;
/** On a slow machine most rows have gone before they are hit. */
const MOST_CLICKS = 5 * CLICKS;
/** For a row that may go at any time. */
const AIM_MS = 5_000;
/** Between a change and its being drawn, on a slow machine. */
const ON_ITS_WAY_MS = 2_000;
/** Snapshots come once a second. */
const READING_MS = 3_500;
/** Each uses more of its CPU than a second before, or less. */
const RESTLESS = 'while :; do i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sleep 1; done';
const STAY = ['one', 'two', 'three', 'four'].map((name) => `stays-${name}`);

let vscode: Vscode;
let godwit: Godwit;
/** Ends what comes and goes. */
let calm = () => {};

beforeAll(async () => {
  // As fast as people type: an agent that is asked without a command's start has jobs gone before a hand can aim.
  godwit = await Godwit.labUp(LAB, { nodes: 2, byCommand: true });
  vscode = await Vscode.open({
    view: 'Godwit',
    env: { GODWIT_LAB: LAB },
    extensions: [newestPackage()],
    atEnd: Godwit.downCommand(LAB),
  });
  for (const [index, name] of STAY.entries())
    await godwit.run(['/bin/sh', '-c', RESTLESS], { name, on: index % 2 ? 'node2' : 'node1' });
  await vscode.workbench.openView('Godwit');
  await until('the jobs', names, (seen) => STAY.every((name) => seen.includes(name)));
}, TEST_MS);

afterAll(async () => {
  calm();
  await vscode?.close();
  await Godwit.labDown(LAB);
}, TEST_MS);

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await vscode?.keep(`tree-${task.name}`).catch(() => {});
});

const names = () => vscode.workbench.rows.locator('.label-name').allInnerTexts();
const MIGRATE = '.actions .action-label[aria-label^="Migrate"]';

test('a tooltip stays while the cluster goes on', { timeout: TEST_MS }, async () => {
  const { page, hover } = vscode.workbench;
  for (const name of [STAY[0]!, 'node1']) {
    const label = vscode.workbench.row(name).locator('.label-name');
    const shown = () => vscode.workbench.tooltip(label, (text) => text.includes(name));
    await shown();
    // What was on its way to be drawn when it was asked for may take it away, once.
    await page.waitForTimeout(ON_ITS_WAY_MS);
    await shown();
    const made = await hover.first().evaluateHandle((element) => element);
    await page.waitForTimeout(READING_MS);
    const still = await made.evaluate(
      (element) => (element as unknown as { isConnected: boolean }).isConnected,
    );
    expect(still, `the tooltip of ${name}`).toBe(true);
    expect(await hover.first().innerText()).toContain(name);
    await vscode.workbench.restMouse();
    await hover.first().waitFor({ state: 'hidden' });
  }
});

/** Which row's button was under the pointer when each click came, as the page saw it. */
const watchClicks = () =>
  vscode.workbench.page.evaluate(`
    window.clicked = [];
    document.addEventListener('click', ({ target }) => {
      const row = target.closest?.('.actions .action-label')?.closest('.part.sidebar .monaco-list-row');
      if (row) clicked.push(row.querySelector('.label-name').innerText);
    }, { capture: true });
  `);
const clicked = async () => (await vscode.workbench.page.evaluate<string[]>('clicked.splice(0)'))[0];

/** Jobs come and go on both nodes, without a pause. */
function unrest(): () => void {
  const wanted = new AbortController();
  const go = async () => {
    const old: string[] = [];
    for (let number = 0; !wanted.signal.aborted; number++) {
      const on = number % 2 ? 'node2' : 'node1';
      old.push((await godwit.run(['/bin/sleep', '1000'], { name: `goes-${number}`, on })).id);
      if (old.length > 2) await godwit.kill(old.shift()!);
    }
  };
  // The lab may go first.
  void go().catch(() => {});
  return () => wanted.abort();
}

/** Points at the button of a row and clicks: which row had the pointer? Undefined where that one has just gone. */
async function click(row: Locator): Promise<string | undefined> {
  try {
    await row.hover({ timeout: AIM_MS });
    const { x, y, width, height } = (await row.locator(MIGRATE).boundingBox({ timeout: AIM_MS }))!;
    await vscode.workbench.page.mouse.click(x + width / 2, y + height / 2);
  } catch {
    return undefined;
  }
  return clicked();
}

test(`${CLICKS} clicks while jobs come and go`, { timeout: TEST_MS }, async () => {
  const title = vscode.workbench.page.locator('.quick-input-widget:visible .quick-input-title');
  const rows = vscode.workbench.rows.filter({ has: vscode.workbench.page.locator(MIGRATE) });
  const answer = async () => {
    // It is there a moment before its title is.
    const asked = (await title.allInnerTexts())[0]?.trim() || undefined;
    const told = (await vscode.workbench.messages()).find((text) =>
      /click it again|no job|has ended/i.test(text),
    );
    return { asked, told };
  };
  await watchClicks();
  calm = unrest();
  let acted = 0;
  const enough = (clicks: number) => clicks >= CLICKS && (acted > CLICKS / 2 || clicks >= MOST_CLICKS);
  for (let number = 0; !enough(number); number++) {
    const row = await click(rows.nth(number % Math.max(1, await rows.count())));
    if (row === undefined) continue;
    const { asked } = await until(`an answer to a click on ${row}`, answer, (one) =>
      Boolean(one.asked ?? one.told),
    );
    if (asked === undefined) {
      await vscode.workbench.clearMessages();
      continue;
    }
    expect(asked).toBe(`Migrate ${row}`);
    acted++;
    await vscode.workbench.page.keyboard.press('Escape');
    await title.waitFor({ state: 'hidden' });
  }
  calm();
  expect(acted).toBeGreaterThan(CLICKS / 2);
});
