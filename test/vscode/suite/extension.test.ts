/** The extension's commands as other extensions call them, on a real cluster with real jobs. */
import * as assert from 'node:assert/strict';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as vscode from 'vscode';
import type { ClusterSnapshot } from '../../../agent/api/client-events';
import type { Job, MoveReport } from '../../../agent/api/model';
import type { Godwit } from '../../../extension/extension';
import { compile } from '../../support/c-programs';
import { inProject } from '../../support/project';

const ID = 'godwit.godwit';
const PATIENCE_MS = 60_000;

const extension = () => vscode.extensions.getExtension<Godwit>(ID)!;
const run = <T>(command: string, ...args: unknown[]) =>
  vscode.commands.executeCommand<T | undefined>(`godwit.${command}`, ...args);

let godwit: Godwit;

async function until<T>(what: string, look: () => T | undefined | false): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  for (; performance.now() < deadline; await sleep(20)) {
    const found = look();
    if (found) return found;
  }
  throw new Error(`${what}: not within ${PATIENCE_MS} ms; ${JSON.stringify(godwit?.cluster.snapshot)}`);
}

const job = (id: string) => godwit.cluster.snapshot?.jobs.find((one) => one.id === id);
const seen = (id: string, what: string, is: (job: Job, snapshot: ClusterSnapshot) => boolean | undefined) =>
  until(what, () => {
    const found = job(id);
    return found && is(found, godwit.cluster.snapshot!) && found;
  });

export function extensionTests(): void {
  describe('the extension', () => {
    it('waits until it is wanted', () => {
      assert.equal(extension().isActive, false);
    });

    it('has a command for everything that it contributes', async () => {
      godwit = await extension().activate();
      const contributed: { command: string }[] = extension().packageJSON.contributes.commands;
      const registered = new Set(await vscode.commands.getCommands(true));
      assert.deepEqual(
        contributed.map(({ command }) => command).filter((command) => !registered.has(command)),
        [],
      );
    });

    it('does nothing without a cluster, and hangs on nothing', async () => {
      assert.equal(godwit.cluster.snapshot, undefined);
      for (const command of [
        'launchJob',
        'migrateJob',
        'sendJobHome',
        'pinJob',
        'unpinJob',
        'balanceOn',
        'balanceOff',
        'drainNode',
        'undrainNode',
        'adoptJob',
        'forgetJob',
        'endJob',
        'endArray',
        'migrateArray',
        'pinArray',
        'unpinArray',
        'attachDebugger',
        'showConsole',
      ])
        assert.equal(await run(command), undefined, command);
    });

    it('says what this machine has', async () => {
      const checks = await run<{ check: string; ok: boolean }[]>('doctor');
      assert.deepEqual(
        checks?.filter(({ ok }) => !ok),
        [],
      );
      await vscode.commands.executeCommand('workbench.action.closeQuickOpen');
    });
  });

  describe('on a local cluster', () => {
    let folder = '';
    let program = '';

    before(async () => {
      folder = realpathSync(mkdtempSync(join(tmpdir(), 'godwit-suite-')));
      program = await compile(inProject('test', 'fixtures', 'moves', 'count.c'), folder);
      assert.equal(await run('startLocalCluster'), true);
    });
    after(async () => {
      const adding = () => vscode.window.terminals.some(({ name }) => name === 'Godwit: Add Node');
      // What ssh would take for an option is no machine's name.
      await run('addNode', '-oProxyCommand=true');
      assert.equal(adding(), false);
      await run('addNode', 'no-such-machine.invalid');
      assert.equal(adding(), true);
      assert.equal(await run('stopLocalCluster', true), true);
      assert.equal(godwit.cluster.snapshot, undefined);
      rmSync(folder, { recursive: true, force: true });
    });

    const launch = async (more: object = {}) => {
      const id = await run<string>('launchJob', {
        program,
        args: ['100000'],
        cwd: folder,
        node: 'node1',
        ...more,
      });
      assert.ok(id);
      await seen(id, 'running', ({ state }) => state === 'running');
      return id;
    };
    const end = async (id: string) => assert.equal(await run('endJob', id, { signal: 'SIGKILL' }), true);

    it('shows the nodes', () => {
      const { nodes } = godwit.cluster.snapshot!;
      assert.deepEqual(
        nodes.map(({ name, state }) => `${name} ${state}`),
        ['node1 up', 'node2 up', 'node3 up'],
      );
    });

    it('starts no second one', async () => {
      assert.equal(await run('startLocalCluster'), true);
      assert.equal(godwit.cluster.snapshot!.nodes.length, 3);
    });

    it('launches, moves, sends home and ends a job', async () => {
      const id = await launch({ name: 'counter' });
      assert.equal(job(id)!.name, 'counter');
      const moved = await run<MoveReport>('migrateJob', id, 'node2');
      assert.deepEqual([moved?.from, moved?.to], ['node1', 'node2']);
      await seen(id, 'on node2', ({ node, state }) => node === 'node2' && state === 'running');
      // As the view calls it.
      const again = await run<MoveReport>('migrateJob', `job:${id}`, 'node:node3');
      assert.deepEqual([again?.from, again?.to], ['node2', 'node3']);
      const home = await run<MoveReport>('sendJobHome', id);
      assert.deepEqual([home?.from, home?.to], ['node3', 'node1']);
      assert.equal(await run('endJob', id, { signal: 'SIGTERM' }), true);
      assert.deepEqual(job(id)!.exit, { exit: 143, signal: 'SIGTERM' });
    });

    it('leaves a job as it is when it is asked for what can’t be', async () => {
      const id = await launch();
      assert.equal(await run('migrateJob', id, 'node9'), undefined);
      assert.equal(await run('migrateJob', id, 'node1'), undefined);
      assert.equal(await run('migrateJob', 'nobody', 'node2'), undefined);
      assert.equal(await run('sendJobHome', id), undefined);
      assert.equal(await run('launchJob', { program: join(folder, 'nothing') }), undefined);
      const { node, state, migrations } = job(id)!;
      assert.deepEqual([node, state, migrations], ['node1', 'running', 0]);
      await end(id);
    });

    it('takes a click on a row that is drawn anew for no other job', async () => {
      const id = await launch();
      // As VS Code calls for a row that it has just forgotten.
      assert.equal(await run('endJob', undefined, { signal: 'SIGKILL' }), undefined);
      assert.equal(await run('endJob', 'job:aaaaaaaaaa', { signal: 'SIGKILL' }), undefined);
      assert.equal(job(id)!.state, 'running');
      await end(id);
    });

    it('keeps a pinned job where it is until it is unpinned', async () => {
      const id = await launch();
      assert.equal(await run('pinJob', id), id);
      await seen(id, 'pinned', ({ pinned }) => pinned);
      assert.equal(await run('migrateJob', id, 'node2'), undefined);
      assert.equal(job(id)!.node, 'node1');
      assert.equal(await run('unpinJob', id), id);
      const moved = await run<MoveReport>('migrateJob', id, 'node2');
      assert.equal(moved?.to, 'node2');
      await end(id);
    });

    it('empties a node that is drained, and lets jobs come again', async () => {
      const id = await launch();
      const home = job(id)!.node;
      assert.equal(await run('drainNode', `node:${home}`), home);
      await seen(id, 'on another node', ({ node, state }) => node !== home && state === 'running');
      assert.equal(await run('undrainNode', `node:${home}`), home);
      assert.equal(await run('drainNode', 'node:node9'), undefined);
      await end(id);
    });

    it('has jobs move by themselves, or only when told', async () => {
      assert.equal(await run('balanceOn'), true);
      assert.equal(await run('balanceOff'), false);
    });

    it('attaches a debugger and lets the job go on without it', async () => {
      const id = await launch();
      assert.equal(await run('attachDebugger', id), true);
      await seen(id, 'debugged', ({ debugged }) => debugged);
      const session = vscode.debug.activeDebugSession!;
      assert.equal(session.type, 'godwit');
      await vscode.debug.stopDebugging(session);
      await seen(id, 'running by itself', ({ debugged, state }) => !debugged && state === 'running');
      await end(id);
    });

    it('pauses all that is debugged, and lets all go on', async () => {
      const ids = [await launch(), await launch()];
      for (const id of ids) assert.equal(await run('attachDebugger', id), true);
      const states = (state: string) =>
        Promise.all(ids.map((id) => seen(id, state, (one) => one.debugged && one.state === state)));
      await states('running');
      assert.equal(await run('pauseAll'), 2);
      await states('stopped');
      assert.equal(await run('continueAll'), 2);
      await states('running');
      for (const id of ids) await end(id);
    });

    it('launches under a debugger, which stays through a move', async () => {
      const stopped = new Promise<void>((resolve) => {
        const tracking = vscode.debug.registerDebugAdapterTrackerFactory('godwit', {
          createDebugAdapterTracker: () => ({
            onDidSendMessage: ({ type, event }: { type: string; event?: string }) => {
              if (type === 'event' && event === 'stopped') {
                tracking.dispose();
                resolve();
              }
            },
          }),
        });
      });
      const options = { program, args: ['100000'], cwd: folder, node: 'node2', stopAtEntry: true };
      assert.equal(await run('launchAndDebugJob', options), true);
      await stopped;
      const session = vscode.debug.activeDebugSession!;
      const frames = async () => {
        const { threads } = await session.customRequest('threads');
        return (await session.customRequest('stackTrace', { threadId: threads[0].id })).stackFrames;
      };
      const [before] = await frames();
      assert.match(before.name, /^main/);
      const debugged = godwit.cluster.snapshot!.jobs.find((one) => one.debugged)!;
      assert.equal(debugged.node, 'node2');
      const moved = await run<MoveReport>('migrateJob', debugged.id, 'node3');
      assert.equal(moved?.to, 'node3');
      await until('its node in the name of its session', () => /[^)] \(node3\)$/.test(session.name));
      const [after] = await frames();
      assert.deepEqual([after.name, after.line], [before.name, before.line]);
      await vscode.debug.stopDebugging(session);
      await seen(debugged.id, 'ended with its session', ({ state }) => state === 'ended');
    });

    it('launches a job in a terminal, which is typed into wherever it is', async () => {
      const script =
        'until [ "$(stty size)" != "24 80" ]; do sleep 0.05; done; read line; test "$line" = typed; exit $((4 + $?))';
      const launched = {
        program: '/bin/sh',
        args: ['-c', script],
        cwd: folder,
        node: 'node1',
        name: 'typist',
      };
      const id = await run<string>('launchJobInTerminal', launched);
      assert.ok(id);
      await seen(id, 'running at a terminal', ({ state, tty }) => state === 'running' && tty);
      const terminal = await until('its terminal', () =>
        vscode.window.terminals.find(({ name }) => name === 'typist'),
      );
      assert.equal((await run<MoveReport>('migrateJob', id, 'node2'))?.to, 'node2');
      terminal.sendText('typed');
      const { exit } = await seen(id, 'ended as it was told to', ({ state }) => state === 'ended');
      assert.deepEqual(exit, { exit: 4, signal: null });
      terminal.dispose();
    });

    it('opens its panels', async () => {
      const id = await launch();
      await run('showClusterLoad');
      await run('showMigrationTimeline', id);
      await run('showConsole', id);
      const tabs = () => vscode.window.tabGroups.all.flatMap((group) => group.tabs);
      await until(
        'three webviews',
        () => tabs().filter(({ input }) => input instanceof vscode.TabInputWebview).length === 3,
      );
      await vscode.window.tabGroups.close(tabs());
      await end(id);
    });
  });
}
