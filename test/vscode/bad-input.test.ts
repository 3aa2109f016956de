/** What goes wrong, as a person meets it in VS Code: a clear message, the session ended or recovered, nothing hangs. */
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { killNode } from '../../agent/lab/cgroups';
import { nodePaths } from '../../agent/lab/description';
import { killAgent, killKeeper, restartAgent } from '../../agent/lab/lab';
import { lineOf } from '../support/c-programs';
import { Godwit } from '../support/godwit';
import { queens } from '../support/subjects';
import { newestPackage } from './harness/extension';
import { TestFolder } from './harness/test-folder';
import { Vscode } from './harness/vscode';
import { until } from './harness/wait';
import type { Workbench } from './harness/workbench';
import { makeWorkspace, type Workspace } from './workspace';

/** A name that no person's lab has. */
const LAB = `t${process.pid}-bad`;
const TEST_MS = 300_000;

let testFolder: TestFolder;
let workspace: Workspace;
let vscode: Vscode;
let workbench: Workbench;
let line: number;

beforeAll(async () => {
  const down = Godwit.downCommand(LAB);
  testFolder = new TestFolder('godwit-bad', down);
  const folder = join(testFolder.folder, 'queens');
  workspace = await makeWorkspace(queens, folder, [
    { name: 'no such program', program: '/nowhere/queens' },
    { name: 'not executable', program: join(folder, 'queens.c') },
    { name: 'arguments as one text', args: '14 14' },
    { name: 'no such node', node: 'node9' },
    { name: 'no program at all, but a job', request: 'attach', job: 'nobody' },
  ]);
  line = lineOf(workspace.subject.source, 'long tried = board.tried;');
  vscode = await Vscode.open({
    folder,
    view: 'Godwit',
    extensions: [newestPackage()],
    env: { GODWIT_LAB: LAB },
  });
  workbench = vscode.workbench;
}, TEST_MS);

afterAll(async () => {
  await vscode?.close();
  await testFolder?.close();
}, TEST_MS);

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await vscode?.keep(task.name).catch(() => {});
});

const godwit = () => new Godwit({ agent: nodePaths(LAB, 'node1').agent.socket });
const living = async () => (await godwit().jobs()).filter(({ state }) => state !== 'ended');

async function welcomed(text: string): Promise<void> {
  await workbench.openView('Godwit');
  const welcome = workbench.page.locator('.part.sidebar .welcome-view-content').first();
  await until(
    `a welcome of "${text}"`,
    () => welcome.innerText(),
    (said) => said.includes(text),
  );
}

async function startCluster(): Promise<void> {
  await workbench.command('Godwit: Start Local Cluster');
  await workbench.told('The local cluster is up', 120_000);
}

test('no cluster', { timeout: TEST_MS }, async () => {
  await workbench.startDebugging('Debug queens');
  const said = await workbench.told('There is no cluster to debug on');
  expect(said).toContain('there is no agent at');
  await workbench.debug.ended();
  await workbench.openView('Godwit');
  const welcome = workbench.page.locator('.part.sidebar .welcome-view-content');
  await until(
    'a welcome that says so',
    () => welcome.innerText(),
    (text) => text.includes('No cluster is running'),
  );
  await workbench.command('Godwit: Launch and Debug Job…');
  await workbench.told('No cluster is running here');
  await workbench.command('Godwit: Migrate Job…');
  await workbench.told('No cluster is running here');
});

describe('on a cluster', () => {
  beforeAll(async () => {
    await startCluster();
    await workbench.setBreakpoint('queens.c', line);
  }, TEST_MS);

  test.for([
    ['no such program', '/nowhere/queens'],
    ['not executable', 'queens.c'],
    ['arguments as one text', 'args'],
    ['no such node', 'node9'],
    ['no program at all, but a job', 'nobody'],
  ])('a launch.json with %s', { timeout: TEST_MS }, async ([configuration, told]) => {
    await workbench.startDebugging(configuration!);
    await workbench.told(told!);
    await workbench.debug.ended();
    expect(await living()).toEqual([]);
  });

  const toBreakpoint = async () => {
    await workbench.startDebugging('Debug queens');
    await workbench.debug.stoppedAt('queens.c', line);
    const [job] = await living();
    return job!.id;
  };

  test('a pinned job is asked to move: the message’s button unpins and moves it', {
    timeout: TEST_MS,
  }, async () => {
    const { id } = await godwit().run(['/bin/sleep', '1000'], { name: 'sleeper', cwd: '/' });
    await workbench.openView('Godwit');
    const seen = (text: string) =>
      until(
        `the sleeper, ${text}`,
        () => workbench.tree(),
        (rows) => rows.some((row) => row.includes('sleeper') && row.includes(text)),
      );
    await seen('running');
    await workbench.command('Godwit: Pin Job to Its Node');
    await seen('pinned');
    await workbench.command('Godwit: Migrate Job…');
    await workbench.pick('where shall it go?', 'node2');
    const refused = await workbench.message('is pinned to node1');
    await workbench.press('Unpin and Move', refused);
    await workbench.message('sleeper moved from node1 to node2');
    await workbench.clearMessages();
    expect(await godwit().job(id)).toMatchObject({ node: 'node2', pinned: false });
    await godwit().kill(id);
    await godwit().wait(id);
  });

  test('the agent of the node that the job is on goes and comes back', { timeout: TEST_MS }, async () => {
    const job = await toBreakpoint();
    await workbench.command('Godwit: Migrate Job…');
    await workbench.pick('where shall it go?', 'node2');
    await workbench.debug.consoleShows('Moved node1 → node2');
    await killAgent(LAB, 'node2');
    await workbench.debug.consoleShows('node2, where the job is, does not answer');
    await restartAgent(LAB, 'node2');
    await workbench.debug.consoleShows('Node node2 is back');
    await workbench.debug.press('Step Over');
    await workbench.debug.stoppedAt('queens.c', line + 1);
    await workbench.debug.press('Stop');
    await workbench.debug.ended();
    await godwit().wait(job);
  });

  test('the cluster is stopped in mid-session', { timeout: TEST_MS }, async () => {
    await toBreakpoint();
    await workbench.command('Godwit: Stop Local Cluster');
    await until(
      'a question',
      () => workbench.dialog(),
      (said) => said.join().includes('Stop the local cluster?'),
    );
    await workbench.press('Stop and End Jobs');
    await workbench.told('The local cluster is stopped', 120_000);
    await workbench.debug.ended();
    await welcomed('No cluster is running');
  });

  test('the cluster is killed in mid-session', { timeout: TEST_MS }, async () => {
    await startCluster();
    await toBreakpoint();
    await Godwit.labDown(LAB);
    await workbench.debug.consoleShows('The agent does not answer');
    await workbench.debug.ended(180_000);
    await workbench.debug.consoleShows('has not come back for');
    await welcomed('cluster');
  });

  test('the node that the job is on dies', { timeout: TEST_MS }, async () => {
    await startCluster();
    await toBreakpoint();
    await workbench.command('Godwit: Migrate Job…');
    await workbench.pick('where shall it go?', 'node2');
    await workbench.debug.consoleShows('Moved node1 → node2');
    // No process lives there to report another's end, as when a machine loses its power.
    await killAgent(LAB, 'node2');
    await killKeeper(LAB, 'node2');
    await killNode(`${LAB}-node2`);
    await workbench.debug.consoleShows('node2, where the job is, does not answer; the debugger waits for it');
    // It could come back, so the session does not end by itself; but it ends as soon as it is told to.
    await workbench.debug.press('Stop');
    await workbench.debug.ended();
    await workbench.openView('Godwit');
    const tree = () => workbench.tree();
    await until('a node that is down', tree, (rows) => rows.some((row) => /^node2.*down/.test(row)));
    // What is left of it is a person's to decide, who is told what that risks.
    await workbench.contextMenu(workbench.row('queens'), 'Forget Job…');
    const risk = await until(
      'the risk',
      () => workbench.dialog(),
      (texts) => texts.length > 0,
    );
    expect(risk.join()).toMatch(/Forget Job .*node2/s);
    await workbench.press('Forget Job');
    await until('the job is lost', tree, (rows) => rows.some((row) => /^Ended/.test(row)));
  });
});
