/** The editor of a user whom a healthy cluster does not admit: told so, and offered nothing that would end it. */
import { execFileSync } from 'node:child_process';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Godwit } from '../support/godwit';
import { newestPackage } from './harness/extension';
import { Vscode } from './harness/vscode';
import { until } from './harness/wait';

const LAB = `t${process.pid}-eve`;
const TEST_MS = 300_000;
/** One of Debian's own accounts. */
const EVE = 'man';
const number = (flag: string) => Number(execFileSync('id', [flag, EVE], { encoding: 'utf8' }));

let vscode: Vscode;

beforeAll(async () => {
  await Godwit.labUp(LAB, { nodes: 2 });
  vscode = await Vscode.open({
    view: 'Godwit',
    user: { uid: number('-u'), gid: number('-g') },
    env: { GODWIT_LAB: LAB },
    extensions: [newestPackage()],
    atEnd: Godwit.downCommand(LAB),
  });
}, TEST_MS);

afterAll(async () => {
  await vscode?.close();
  await Godwit.labDown(LAB);
}, TEST_MS);

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await vscode?.keep(`not-admitted-${task.name}`).catch(() => {});
});

const REFUSED = 'You are not admitted to this cluster';
const ADVICE = 'have its administrator add you to the group godwit';

test('the view says so, with what to do', { timeout: TEST_MS }, async () => {
  await vscode.workbench.openView('Godwit');
  const view = vscode.workbench.page.locator('.part.sidebar');
  const said = await until(
    'the reason',
    () => view.innerText(),
    (text) => text.includes(REFUSED),
  );
  expect(said).toContain(ADVICE);
  expect(said).not.toMatch(/No cluster is running|Start Local Cluster/);
});

test.for(['Start Local Cluster', 'Launch Job…', 'Migrate Job…'])(
  '%s says so',
  { timeout: TEST_MS },
  async (command) => {
    await vscode.workbench.command(`Godwit: ${command}`);
    const toast = await vscode.workbench.message(REFUSED);
    expect(await toast.innerText()).toContain(ADVICE);
    expect(await toast.locator('.monaco-button').allInnerTexts()).toEqual([]);
    await vscode.workbench.clearMessages();
  },
);

test('so do the panels', { timeout: TEST_MS }, async () => {
  for (const panel of ['Cluster Load', 'Migration Timeline']) {
    await vscode.workbench.command(`Godwit: Show ${panel}`);
    const page = vscode.workbench.webview(panel);
    const text = await until(
      `${panel}`,
      () => page.text(),
      (said) => said.includes(REFUSED),
    );
    expect(text).not.toContain('No agent answers');
  }
});
