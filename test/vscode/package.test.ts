/** The .vsix as people get it. */
import { accessSync, constants, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { labFolder } from '../../agent/lab/description';
import { Godwit } from '../support/godwit';
import { processesOf } from '../support/processes';
import { newestPackage } from './harness/extension';
import { VscodeServer } from './harness/server';
import { TestFolder } from './harness/test-folder';

const LAB = 'vsix';
/** Bundles without maps and without the modules that they were made of; more than this is a mistake. */
const MAX_BYTES = 4_000_000;

const FILES = [
  '.vsixmanifest',
  'LICENSE.txt',
  'THIRD_PARTY_NOTICES.md',
  'changelog.md',
  'dist/adapter.cjs',
  'dist/agent.cjs',
  'dist/extension.cjs',
  'dist/gdb/godwit/__init__.py',
  'dist/gdb/godwit/assigning.py',
  'dist/gdb/godwit/bounds.py',
  'dist/gdb/godwit/breakpoints.py',
  'dist/gdb/godwit/command.py',
  'dist/gdb/godwit/completions.py',
  'dist/gdb/godwit/evaluating.py',
  'dist/gdb/godwit/exceptions.py',
  'dist/gdb/godwit/expressions.py',
  'dist/gdb/godwit/fields.py',
  'dist/gdb/godwit/giving_up.py',
  'dist/gdb/godwit/go.py',
  'dist/gdb/godwit/kinds.py',
  'dist/gdb/godwit/patience.py',
  'dist/gdb/godwit/places.py',
  'dist/gdb/godwit/pointers.py',
  'dist/gdb/godwit/printed.py',
  'dist/gdb/godwit/processes.py',
  'dist/gdb/godwit/rows.py',
  'dist/gdb/godwit/rust.py',
  'dist/gdb/godwit/scopes.py',
  'dist/gdb/godwit/shapes.py',
  'dist/gdb/godwit/stacks.py',
  'dist/gdb/godwit/state.py',
  'dist/gdb/godwit/steps.py',
  'dist/gdb/godwit/threads.py',
  'dist/gdb/godwit/values.py',
  'dist/gdb/godwit/variables.py',
  'dist/gdb/godwit/words.py',
  'dist/godwit-agent.service',
  'dist/godwit-as-user.so',
  'dist/godwit-confined.so',
  'dist/godwit-fifos.so',
  'dist/godwit-foreground.so',
  'dist/godwit-helper',
  'dist/godwit-homefs',
  'dist/godwit-limits.so',
  'dist/godwit-links.so',
  'dist/godwit-live/boot',
  'dist/godwit-live/group',
  'dist/godwit-live/hosts',
  'dist/godwit-live/init',
  'dist/godwit-live/inittab',
  'dist/godwit-live/join',
  'dist/godwit-live/lease',
  'dist/godwit-live/leave',
  'dist/godwit-live/passwd',
  'dist/godwit-locks.so',
  'dist/godwit-own-file.so',
  'dist/godwit-stacks.py',
  'dist/godwit-thread-timers.so',
  'dist/godwit-xstate.so',
  'dist/godwit.cjs',
  'dist/keeper.cjs',
  'dist/webviews/console.css',
  'dist/webviews/console.js',
  'dist/webviews/load.css',
  'dist/webviews/load.js',
  'dist/webviews/timeline.css',
  'dist/webviews/timeline.js',
  'package.json',
  'readme.md',
  'resources/godwit.svg',
  'resources/icon.png',
];

let testFolder: TestFolder;
/** Where VS Code has put it. */
let installed: string;

beforeAll(async () => {
  const down = Godwit.downCommand(LAB);
  testFolder = new TestFolder('godwit-package', down);
  await VscodeServer.start(testFolder, { extensions: [newestPackage()] });
  const folder = testFolder.make('vscode', 'extensions');
  const [name] = readdirSync(folder).filter((entry) => entry.startsWith('godwit.godwit-'));
  installed = join(folder, name!);
});

afterAll(() => testFolder?.close());

test('it holds what it needs and nothing else', () => {
  const entries = readdirSync(installed, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const names = files.map((entry) => relative(installed, join(entry.parentPath, entry.name)));
  expect(names.sort()).toEqual(FILES);
  for (const program of ['dist/godwit-helper', 'dist/godwit-homefs', 'dist/godwit.cjs'])
    accessSync(join(installed, program), constants.X_OK);
});

test('it is small', () => {
  expect(statSync(newestPackage()).size).toBeLessThan(MAX_BYTES);
});

test('the command in it brings up a lab of the agents that it carries', async () => {
  const godwit = new Godwit({}, join(installed, 'dist', 'godwit.cjs'));
  await godwit.text(['lab', 'up', '--name', LAB, '--nodes', '1'], 90_000);
  const agents = processesOf(labFolder(LAB)).filter((argv) => argv[1]?.startsWith(installed));
  expect(agents.map((argv) => relative(installed, argv[1]!)).sort()).toEqual([
    'dist/agent.cjs',
    'dist/keeper.cjs',
  ]);
  await godwit.text(['lab', 'down', '--name', LAB], 90_000);
  expect(processesOf(labFolder(LAB))).toEqual([]);
});
