/** What others chose (names, commands, what a job prints) is text wherever the editor shows it: no link, no icon, no markup. */
import { join } from 'node:path';
import type { Locator } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Godwit } from '../support/godwit';
import { queens } from '../support/subjects';
import { newestPackage } from './harness/extension';
import { TestFolder } from './harness/test-folder';
import { Vscode } from './harness/vscode';
import { until } from './harness/wait';
import { makeWorkspace } from './workspace';

const LAB = `t${process.pid}-text`;
const TEST_MS = 300_000;
/** In which the editor does what it does with what it is told. */
const NOTICED_MS = 1_000;

const LINK = '[l](command:godwit.doctor)';
/** What a user may call a job; hidden characters a name may not have. */
const NAMES = [
  LINK,
  'https://example.com/a www.example.com',
  '$(zap) $(sync~spin)',
  '<b>b</b> **b** `c` | d',
];
const NO_JOB = '[n](command:godwit.doctor)';
/** A command that is more than its program. */
const COMMAND = [
  ...['/bin/sh', '-c', 'while sleep 1; do :; done'],
  ...['$(zap)', '[c](command:godwit.doctor)', 'a\u202egnp.exe', 'one\ntwo\u001b[31m'],
];

const STRANGE = String.raw`'$(zap)' '[c](command:godwit.doctor)' 'a\u{202e}gnp.exe' 'one\ntwo\x1b[31m'`;
const COMMAND_SHOWN = `/bin/sh -c 'while sleep 1; do :; done' ${STRANGE}`;

let testFolder: TestFolder;
let vscode: Vscode;
let godwit: Godwit;
const jobs = new Map<string, string>();

beforeAll(async () => {
  const down = Godwit.downCommand(LAB);
  testFolder = new TestFolder('godwit-text', down);
  godwit = await Godwit.labUp(LAB, { nodes: 2 });
  const folder = join(testFolder.folder, 'queens');
  await makeWorkspace(queens, folder, [{ name: 'no such job', request: 'attach', job: NO_JOB }]);
  vscode = await Vscode.open({
    folder,
    view: 'Godwit',
    extensions: [newestPackage()],
    env: { GODWIT_LAB: LAB },
  });
  await watchMessages();
  await vscode.workbench.openView('Godwit');
  for (const name of NAMES) jobs.set(name, (await godwit.run(COMMAND, { name })).id);
}, TEST_MS);

afterAll(async () => {
  await vscode?.close();
  await testFolder?.close();
}, TEST_MS);

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await vscode?.keep(`text-${task.name}`).catch(() => {});
});

/** Nothing that can be seen keeps two signs apart that would mean something together. */
const read = (text: string) => text.replaceAll('\u2060', '').replaceAll('\u00a0', ' ');
const texts = async (all: Locator) => (await all.allInnerTexts()).map(read);

/** Messages come and go: each is noted, with the links in it. */
interface Noted {
  messages: string[];
  links: string[];
}

const watchMessages = () =>
  vscode.workbench.page.evaluate(`
    window.noted = { messages: [], links: [] };
    new MutationObserver(() => {
      for (const one of document.querySelectorAll('.notification-list-item-message, .dialog-message-container')) {
        if (!noted.messages.includes(one.innerText)) noted.messages.push(one.innerText);
        for (const { outerHTML } of one.querySelectorAll("a"))
          if (!noted.links.includes(outerHTML)) noted.links.push(outerHTML);
      }
    }).observe(document.body, { childList: true, subtree: true, characterData: true });
  `);

async function noted(): Promise<Noted> {
  const { messages, links } = await vscode.workbench.page.evaluate<Noted>('noted');
  return { messages: messages.map(read), links };
}

const message = (text: string) =>
  until(`a message with "${text}"`, noted, ({ messages }) => messages.some((one) => one.includes(text)));

test('in the view', { timeout: TEST_MS }, async () => {
  const labels = vscode.workbench.rows.locator('.label-name');
  await until(
    'all jobs',
    () => texts(labels),
    (seen) => NAMES.every((name) => seen.includes(name)),
  );
  expect(await labels.locator('.codicon').count()).toBe(0);
});

test('in a tooltip', { timeout: TEST_MS }, async () => {
  await until(
    'all jobs',
    () => vscode.workbench.tree(),
    ({ length }) => length > NAMES.length,
  );
  const { hover, rows } = vscode.workbench;
  for (const name of NAMES) {
    const labels = rows.locator('.label-name');
    const label = labels.nth((await texts(labels)).indexOf(name));
    const told = await vscode.workbench.tooltip(label, (text) =>
      [name, 'Command'].every((word) => read(text).includes(word)),
    );
    expect(await hover.locator('td a, strong a, .codicon, img, b, code').count(), name).toBe(0);
    expect(read(told)).toContain(COMMAND_SHOWN);
    await vscode.workbench.restMouse();
    await hover.first().waitFor({ state: 'hidden' });
  }
});

test('in a pick, a progress and a message', { timeout: TEST_MS }, async () => {
  await vscode.workbench.command('Godwit: Migrate Job…');
  await vscode.workbench.asked('The job to move');
  const rows = vscode.workbench.page.locator('.quick-input-list .monaco-list-row');
  await rows.nth(NAMES.length - 1).waitFor();
  // The first line of each has the name, the second the command.
  const labels = await texts(rows.locator('.label-name'));
  const command = COMMAND_SHOWN;
  expect(labels.filter((text) => text !== command).sort()).toEqual([...NAMES].sort());
  expect(labels.filter((text) => text === command).length).toBe(NAMES.length);
  expect(await rows.locator('.label-name .codicon, .label-description .codicon').count()).toBe(0);
  await rows.filter({ hasText: '[l]' }).click();
  await vscode.workbench.asked('where shall it go?');
  const title = await texts(vscode.workbench.page.locator('.quick-input-title'));
  expect(title).toEqual([`Migrate ${LINK}`]);
  await vscode.workbench.pick('where shall it go?', 'node2');
  await message(`Moving ${LINK} to node2`);
  await message(`${LINK} moved from node1 to node2`);
  expect((await noted()).links).toEqual([]);
});

test('in the message of a refusal', { timeout: TEST_MS }, async () => {
  await vscode.workbench.openView('Godwit');
  await godwit.text(['pin', jobs.get(LINK)!]);
  await until(
    'the pin',
    () => vscode.workbench.tree(),
    (rows) => rows.some((row) => row.includes('pinned')),
  );
  await vscode.workbench.contextMenu(vscode.workbench.row('[l]'), 'Migrate Job…');
  const { node } = await godwit.job(jobs.get(LINK)!);
  await vscode.workbench.pick('where shall it go?', node === 'node2' ? 'node1' : 'node2');
  await message(`Job ${LINK} can't move to`);
  await vscode.workbench.startDebugging('no such job');
  await message(`no job "${NO_JOB}"`);
  await vscode.workbench.debug.ended();
  await vscode.workbench.page.keyboard.press('Escape');
  expect((await noted()).links).toEqual([]);
});

test('in the panels', { timeout: TEST_MS }, async () => {
  await vscode.workbench.command('Godwit: Show Migration Timeline');
  const timeline = vscode.workbench.webview('Migration Timeline').content;
  const names = timeline.locator('.lane button');
  await until(
    'a lane for each',
    () => texts(names),
    (seen) => NAMES.every((name) => seen.includes(name)),
  );
  await names.filter({ hasText: '[l]' }).click();
  const tab = vscode.workbench.page.locator('.tab.active').filter({ hasText: 'Console: ' });
  await until(
    'the console’s title',
    () => texts(tab.locator('.label-name')),
    ([title]) => title === `Console: ${LINK}`,
  );
  const head = vscode.workbench.webview('Console').content.locator('header');
  await until(
    'its head',
    () => texts(head),
    ([text]) => text?.includes(LINK) ?? false,
  );
  expect(await head.locator('a').count()).toBe(0);
});

async function showConsole(job: string): Promise<void> {
  await vscode.workbench.openView('Godwit');
  const there = (rows: string[]) => rows.some((row) => row.includes(job));
  await until(`the job ${job}`, () => vscode.workbench.tree(), there);
  await vscode.workbench.contextMenu(vscode.workbench.row(job), 'Show Console');
}

test('a console has no links but what is seen, and no title of the program’s', {
  timeout: TEST_MS,
}, async () => {
  const print = `printf '\\033]0;TITLE\\007\\033]8;;command:godwit.doctor\\007CLICK\\033]8;;\\007\\n'; exec sleep 1000`;
  const { id } = await godwit.run(['/bin/sh', '-c', print], { name: 'printer' });
  await showConsole('printer');
  const console = vscode.workbench.webview('Console: printer');
  await console.opened();
  const text = console.content.locator('.xterm-rows').getByText('CLICK');
  expect((await text.getAttribute('class')) ?? '').not.toContain('underline');
  // Above the rows is what takes the pointer for all of them.
  await text.hover({ force: true });
  await vscode.workbench.page.waitForTimeout(NOTICED_MS);
  expect(await console.content.locator('.xterm-cursor-pointer').count()).toBe(0);
  expect(await vscode.workbench.page.locator('.tab', { hasText: 'TITLE' }).count()).toBe(0);
  await godwit.kill(id);
});

test('a job at a terminal is answered nothing about the clipboard', { timeout: TEST_MS }, async () => {
  const { page } = vscode.workbench;
  const ask = `printf '\\033]52;c;?\\007'; read -rt 5 -d '' -n 60 reply; printf 'reply:%q.\\n' "$reply"`;
  const script = `stty -icanon -echo; read -rn 1; echo asking; ${ask}; exec sleep 1000`;
  const run = ['run', '--detach', '--tty', '--name', 'asker', '--', '/bin/bash', '-c', script];
  const id = (await godwit.text(run)).trim();
  await showConsole('asker');
  const terminal = page.locator('.terminal-wrapper.active .xterm');
  await terminal.waitFor();
  const typed = async () => {
    await terminal.click();
    await page.keyboard.press('x');
    return (await godwit.logs(id)).includes('asking');
  };
  await until('the question', typed, Boolean);
  const said = await until(
    'an answer, or none',
    () => godwit.logs(id),
    (text) => text.includes('reply:'),
  );
  expect(said.slice(said.indexOf('reply:'))).not.toContain('52;');
  await godwit.kill(id);
});
