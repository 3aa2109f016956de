/** What Godwit is for, through VS Code's workbench, with programs of different natures. */
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { heat } from '../demo/heat';
import { Godwit } from '../support/godwit';
import { endAll, run } from '../support/processes';
import type { Subject } from '../support/subject';
import { queens } from '../support/subjects';
import { silent } from '../support/teller';
import { newestPackage } from './harness/extension';
import { TestFolder } from './harness/test-folder';
import { Vscode } from './harness/vscode';
import { EditorScenario } from './scenario';
import { makeWorkspace } from './workspace';

/** A name that no person's lab has. */
const LAB = `t${process.pid}-editor`;
const SCENARIO_MS = 600_000;
const PLAIN_MS = 300_000;

let testFolder: TestFolder;
let godwit: Godwit;
let vscode: Vscode | undefined;

beforeAll(async () => {
  testFolder = new TestFolder('godwit-editor', Godwit.downCommand(LAB));
  godwit = await Godwit.labUp(LAB, { temp: testFolder.folder });
});

afterAll(async () => {
  endAll();
  await testFolder?.close();
});

beforeEach(() => {
  vscode = undefined;
});

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await vscode?.keep(task.name).catch(() => {});
  await vscode?.close();
});

async function open(subject: Subject) {
  const workspace = await makeWorkspace(subject, join(testFolder.folder, subject.name));
  vscode = await Vscode.open({
    folder: workspace.folder,
    view: 'Godwit',
    extensions: [newestPackage()],
    env: { GODWIT_LAB: LAB },
  });
  const scenario = new EditorScenario({
    ...workspace,
    godwit,
    workbench: vscode.workbench,
    nodes: ['node1', 'node2', 'node3'],
    tell: silent,
    picture: async () => {},
  });
  return scenario;
}

test('a simulation with threads and a second process, to its end', { timeout: SCENARIO_MS }, async () => {
  const scenario = await open(heat);
  const plain = await makeWorkspace({ ...heat, name: 'heat-alone' }, join(testFolder.folder, 'alone'));
  const alone = run([plain.program, ...heat.args], { limitMs: PLAIN_MS });
  alone.catch(() => {});
  await scenario.launch();
  await scenario.moveWhileStopped();
  await scenario.stopOnCondition();
  await scenario.moveWhileRunning();
  await scenario.moveDuringStep();
  await scenario.lookAround();
  const { status, stdout } = await alone;
  expect(status).toBe(0);
  await scenario.runToEnd(stdout);
});

test('a program of recursion and long jumps, stopped by the toolbar', { timeout: SCENARIO_MS }, async () => {
  const scenario = await open(queens);
  await scenario.launch();
  await scenario.moveWhileStopped();
  await scenario.stopOnCondition();
  await scenario.moveWhileRunning();
  await scenario.moveDuringStep();
  await scenario.stop();
});
