/** The rows of the table. */
import { join } from 'node:path';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { threadOfStop } from '../../../agent/debug/rsp/packets';
import { nodePaths } from '../../../agent/lab/description';
import { lineOf } from '../../support/c-programs';
import type { DebugClient } from '../../support/dap';
import { Gdb } from '../../support/gdb';
import type { Godwit } from '../../support/godwit';
import { launch } from '../../support/processes';
import { inProject } from '../../support/project';
import { RspClient } from '../../support/rsp';
import { asks, begun, CDT, godwits, steps } from './adapters';
import { type Delayed, delayed } from './delay';
import { inTurns, median, type Row } from './figures';
import { plainGdb, standing, timed } from './gdbs';
import { gdbserverAt } from './reference';

export interface Stage {
  count: number;
  folder: string;
  godwit: Godwit;
  lab: string;
  program: string;
  source: string;
  /** Lines that are never come by. */
  never: number[];
}

const TURN = 10;
const BEGIN = '/* begin */';
/** One way. */
const DELAY_MS = 5;
const SLOW = 4;

let sockets = 0;
const socketIn = (folder: string) => join(folder, `socket-${sockets++}`);
const socketOf = ({ lab }: Stage, node = 'node1') => nodePaths(lab, node).agent.socket;

async function compared(
  what: string,
  goal: string,
  count: number,
  godwit: (times: number) => Promise<number[]>,
  reference: (times: number) => Promise<number[]>,
): Promise<Row> {
  const [ours, theirs] = await inTurns(count, TURN, [godwit, reference]);
  return { what, goal, godwit: median(ours!), reference: median(theirs!) };
}

// ---- Packets

/** What no stop has told: it goes all the way. */
const PACKET = 'qC';

async function packets(stage: Stage): Promise<Row[]> {
  const { folder, program, godwit, count } = stage;
  const reference = await referenceClient(stage);
  const rows = [];
  for (const node of ['node1', 'node2']) {
    const { id } = await godwit.run([program], { stopped: true });
    if (node !== 'node1') await godwit.migrate(id, node);
    const path = socketIn(folder);
    launch([process.execPath, inProject('dist', 'godwit.cjs'), 'rsp', id, '--listen', path], {
      env: { GODWIT_AGENT: socketOf(stage) },
    }).stdout!.resume();
    const client = await clientAt(path);
    await client.ask('qSupported:multiprocess+;swbreak+;hwbreak+;vContSupported+');
    const what = `a packet there and back, host ${node === 'node1' ? '= home' : 'away'}`;
    const goal = node === 'node1' ? '≤ 3' : '≤ 4';
    rows.push(
      await compared(what, goal, 10 * count, exchanges(client, PACKET), exchanges(reference, PACKET)),
    );
    const told = `${what}, which the line was told ahead`;
    for (const one of [client, reference]) await one.ask(`Hg${threadOfStop(await one.ask('?'))}`);
    rows.push(await compared(told, '', 10 * count, exchanges(client, 'g'), exchanges(reference, 'g')));
    client.close();
  }
  return rows;
}

async function referenceClient({ folder, program }: Stage): Promise<RspClient> {
  const path = socketIn(folder);
  await gdbserverAt(path, [program]);
  const client = await RspClient.at(path);
  await client.ask('qSupported:multiprocess+;swbreak+;hwbreak+;vContSupported+');
  return client;
}

async function clientAt(path: string): Promise<RspClient> {
  for (;;) {
    try {
      return await RspClient.at(path);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

const exchanges = (client: RspClient, packet: string) => async (count: number) => {
  const times = [];
  for (let nth = 0; nth < count; nth++) {
    const from = performance.now();
    await client.ask(packet);
    times.push(performance.now() - from);
  }
  return times;
};

// ---- gdb's command line

/** Both at the first of the lines; `way`: how the client comes to the other end. */
async function twoGdbs(
  stage: Stage,
  way: (to: string) => Promise<string> = async (to) => to,
): Promise<{ ours: Gdb; theirs: Gdb }> {
  const { folder, program, source, godwit } = stage;
  const place = `stepped.c:${lineOf(source, BEGIN) + 1}`;
  const { id } = await godwit.run([program], { stopped: true });
  const argv = [process.execPath, inProject('dist', 'godwit.cjs'), 'gdb', id, '--', '-q', '-nx'];
  const agent = await way(socketOf(stage));
  const ours = await standing(new Gdb(argv, { GODWIT_AGENT: agent }), place);
  const socket = socketIn(folder);
  await gdbserverAt(socket, [program]);
  const theirs = await standing(plainGdb(await way(socket), program), place);
  return { ours, theirs };
}

async function next(stage: Stage): Promise<Row[]> {
  const { ours, theirs } = await twoGdbs(stage);
  const row = await compared(
    'next, gdb through `godwit gdb`',
    '≤ 2',
    stage.count,
    timed(ours, 'next'),
    timed(theirs, 'next'),
  );
  ours.kill();
  theirs.kill();
  return [row];
}

async function nextFar(stage: Stage): Promise<Row[]> {
  const ways: Delayed[] = [];
  const way = async (to: string) => {
    const one = await delayed(to, socketIn(stage.folder), DELAY_MS);
    ways.push(one);
    return one.path;
  };
  const { ours, theirs } = await twoGdbs(stage, way);
  const what = `the same, ${DELAY_MS} ms each way between gdb and the program`;
  const row = await compared(
    what,
    '≤ 0.5',
    Math.ceil(stage.count / SLOW),
    timed(ours, 'next'),
    timed(theirs, 'next'),
  );
  for (const one of ways) one.close();
  return [row];
}

async function nextBreakpoints(stage: Stage): Promise<Row[]> {
  const { ours, theirs } = await twoGdbs(stage);
  for (const gdb of [ours, theirs]) for (const line of stage.never) await gdb.do(`break stepped.c:${line}`);
  const what = `next, gdb, with ${stage.never.length} breakpoints`;
  return [await compared(what, '≤ 2', stage.count, timed(ours, 'next'), timed(theirs, 'next'))];
}

// ---- Adapters

const STEP_INTO = (stage: Stage) => lineOf(stage.source, BEGIN) + 1;

const begin = (stage: Stage, args: number[], more: number[] = []) => ({
  program: stage.program,
  source: stage.source,
  args: args.map(String),
  lines: [STEP_INTO(stage), ...more],
});

async function twoAdapters(
  stage: Stage,
  args: number[] = [],
  more: number[] = [],
): Promise<{ ours: DebugClient; theirs: DebugClient }> {
  const [ours, theirs] = [
    await begun(godwits(socketOf(stage)), begin(stage, args, more)),
    await begun(CDT, begin(stage, args, more)),
  ];
  // Else each round is a stop at a breakpoint.
  for (const { client } of [ours, theirs])
    await client.setBreakpoints(
      stage.source,
      more.map((line) => ({ line })),
    );
  return { ours: ours.client, theirs: theirs.client };
}

async function nextViews(stage: Stage): Promise<Row[]> {
  const { ours, theirs } = await twoAdapters(stage);
  const what = 'next, DAP, all views, beside cdt-gdb-adapter';
  return [await compared(what, '≤ 1', stage.count, steps(ours), steps(theirs))];
}

async function nextViewsBreakpoints(stage: Stage): Promise<Row[]> {
  const { ours, theirs } = await twoAdapters(stage, [], stage.never);
  const what = `next, DAP, all views, with ${stage.never.length} breakpoints, beside cdt-gdb-adapter`;
  return [await compared(what, '≤ 2', stage.count, steps(ours), steps(theirs))];
}

async function deep(stage: Stage): Promise<Row[]> {
  const [far, near] = [
    (await begun(godwits(socketOf(stage)), begin(stage, [4_997]))).client,
    (await begun(godwits(socketOf(stage)), begin(stage, [2]))).client,
  ];
  for (const client of [far, near]) await client.setBreakpoints(stage.source, []);
  const what = 'next, DAP, all views, at 5,000 frames, beside at 5';
  return [await compared(what, '≤ 1.5', stage.count, steps(far), steps(near))];
}

async function threads(stage: Stage): Promise<Row[]> {
  const { ours, theirs } = await twoAdapters(stage, [5, 499]);
  const count = Math.ceil(stage.count / SLOW);
  return [
    await compared(
      '500 threads: threads, DAP',
      '≤ 1.5',
      count,
      asks(ours, 'threads'),
      asks(theirs, 'threads'),
    ),
    await compared('500 threads: next, DAP, all views', '', count, steps(ours), steps(theirs)),
  ];
}

async function array(stage: Stage): Promise<Row[]> {
  const { client } = await begun(godwits(socketOf(stage)), begin(stage, []));
  const { stackFrames } = await client.request<DebugProtocol.StackTraceResponse['body']>('stackTrace', {
    threadId: 1,
  });
  const times: number[][] = [[], []];
  for (let nth = 0; nth < Math.ceil(stage.count / SLOW); nth++) {
    const { variablesReference } = await client.request<DebugProtocol.EvaluateResponse['body']>('evaluate', {
      expression: 'many',
      frameId: stackFrames[0]!.id,
      context: 'watch',
    });
    for (const [at, start] of [0, 100 * (nth + 1)].entries()) {
      const from = performance.now();
      await client.variables(variablesReference, { filter: 'indexed', start, count: 100 });
      times[at]!.push(performance.now() - from);
    }
  }
  return ['the first 100 of 1,000,000 elements', 'each 100 after'].map((what, at) => ({
    what,
    goal: '< 100 ms',
    godwit: median(times[at]!),
    reference: null,
  }));
}

async function launches(stage: Stage): Promise<Row[]> {
  const main = { ...begin(stage, []), lines: [lineOf(stage.source, 'const int depth')] };
  const once = async (kind: typeof CDT) => {
    const { client, took } = await begun(kind, main);
    await client.request('disconnect', { terminateDebuggee: true });
    client.kill();
    return took;
  };
  const ourKind = godwits(socketOf(stage));
  const what = 'launch to the stop in main, DAP, beside cdt-gdb-adapter';
  const count = Math.ceil(stage.count / 20);
  const several = (kind: typeof CDT) => async (times: number) => {
    const took = [];
    for (let nth = 0; nth < times; nth++) took.push(await once(kind));
    return took;
  };
  return [await compared(what, '≤ 1.2', count, several(ourKind), several(CDT))];
}

export const ROWS: Record<string, (stage: Stage) => Promise<Row[]>> = {
  packets,
  next,
  far: nextFar,
  breakpoints: nextBreakpoints,
  views: nextViews,
  'views-breakpoints': nextViewsBreakpoints,
  deep,
  threads,
  array,
  launch: launches,
};
