/** The Cluster view while jobs come and go: what is pointed at stays, and a click is for the row that was clicked. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Godwit } from '../support/godwit';
import { inProject } from '../support/project';
import { newestPackage } from './harness/extension';
import { Vscode } from './harness/vscode';
import { until } from './harness/wait';

const LAB = `t${process.pid}-tree`;
const TEST_MS = 400_000;
const CLICKS = 30;
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
  godwit = await Godwit.labUp(LAB, { nodes: 2 });
  vscode = await Vscode.open({
    view: 'Godwit',
    env: { GODWIT_LAB: LAB },
    extensions: [newestPackage()],
    atEnd: [process.execPath, inProject('dist', 'godwit.cjs'), 'lab', 'down', '--name', LAB],
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
const settled = () =>
  vscode.workbench.rows.filter({
    has: vscode.workbench.page.locator('.actions .action-label[aria-label^="Migrate"]'),
  });

test('a tooltip stays while the cluster goes on', { timeout: TEST_MS }, async () => {
  const { page } = vscode.workbench;
  const hover = page.locator('.monaco-hover:visible');
  for (const name of [STAY[0]!, 'node1']) {
    await vscode.workbench.row(name).locator('.label-name').hover();
    await until(
      'the tooltip',
      async () => (await hover.allInnerTexts()).join(),
      (text) => text.includes(name),
    );
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

/** Which row was under the pointer when each click came, as the page saw it. */
const watchClicks = () =>
  vscode.workbench.page.evaluate(`
    window.clicked = [];
    document.addEventListener('click', (event) => {
      const row = event.target.closest?.('.part.sidebar .monaco-list-row');
      if (row && event.target.closest('.actions')) clicked.push(row.querySelector('.label-name').innerText);
    }, { capture: true });
  `);
const clicked = () => vscode.workbench.page.evaluate('window.clicked.splice(0)') as Promise<string[]>;

/** Jobs come and go on both nodes, without a pause. */
function unrest(): () => void {
  let on = true;
  void (async () => {
    for (let number = 0; on; number++) {
      const { id } = await godwit.run(['/bin/sleep', '1000'], {
        name: `goes-${number}`,
        on: number % 2 ? 'node2' : 'node1',
      });
      if (number % 3 === 2)
        for (const one of await godwit.jobs())
          if (one.name.startsWith('goes-') && one.state !== 'ended' && one.id !== id)
            await godwit.kill(one.id);
    }
  })().catch(() => {});
  return () => {
    on = false;
  };
}

test(`${CLICKS} clicks while jobs come and go`, { timeout: TEST_MS }, async () => {
  const { page } = vscode.workbench;
  await watchClicks();
  calm = unrest();
  const asked = page.locator('.quick-input-widget:visible .quick-input-title');
  let acted = 0;
  for (let number = 0; number < CLICKS; number++) {
    const rows = settled();
    const count = await rows.count();
    if (count === 0) continue;
    const row = rows.nth(number % count);
    try {
      await row.hover({ timeout: 5_000 });
      const button = (await row
        .locator('.actions .action-label[aria-label^="Migrate"]')
        .boundingBox({ timeout: 5_000 }))!;
      await page.mouse.click(button.x + button.width / 2, button.y + button.height / 2);
    } catch {
      continue; // The row has gone meanwhile.
    }
    const seen = await until(
      'what the click was for',
      async () => ({
        title: (await asked.allInnerTexts())[0],
        told: (await vscode.workbench.messages()).find((text) =>
          /click it again|no job|has ended/i.test(text),
        ),
        rows: await clicked().then((found) => found),
      }),
      () => true,
    );
    const [target] = seen.rows;
    if (target === undefined) continue; // The pointer was on no button any more.
    const answer = await until(
      `an answer to the click on ${target}`,
      async () => ({
        title: (await asked.allInnerTexts())[0] ?? '',
        told:
          (await vscode.workbench.messages()).find((text) => /click it again|no job|has ended/i.test(text)) ??
          '',
      }),
      ({ title, told }) => title !== '' || told !== '',
    );
    if (answer.title) {
      expect(answer.title).toBe(`Migrate ${target}`);
      acted++;
      await page.keyboard.press('Escape');
      await asked.waitFor({ state: 'hidden' });
    } else await vscode.workbench.clearMessages();
  }
  calm();
  expect(acted).toBeGreaterThan(CLICKS / 2);
});
