/** The adapter's parts that need neither gdb nor an agent. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hitsOf, passedBy, stopsOf } from '../../adapter/breakpoints/hits';
import { logParts } from '../../adapter/breakpoints/log-points';
import { AttachArguments, LaunchArguments, parseArguments } from '../../adapter/configuration/arguments';
import { environment } from '../../adapter/configuration/environment';
import { unknownKeys } from '../../adapter/configuration/unknown-keys';
import { GdbOutputFilter, LOG_BEGIN, LOG_END } from '../../adapter/gdb/output-filter';
import { MoveWatcher } from '../../adapter/job/moves';
import { exitOf, FUNCTIONS, reasonOf } from '../../adapter/stops/stops';
import type { ClusterSnapshot } from '../../agent/api/client-events';
import type { HistoryEvent, Job, MoveReport } from '../../agent/api/model';
import { inProject } from '../support/project';

describe('launch.json', () => {
  it('needs no more than a program', () => {
    expect(parseArguments(LaunchArguments, 'launch', { program: 'a', name: 'mine', type: 'godwit' })).toEqual(
      {
        program: 'a',
        args: [],
        env: {},
        setupCommands: [],
        sourceFileMap: {},
        node: 'best',
        allowIoUring: false,
        stopAtEntry: false,
        console: 'debugConsole',
        gdb: 'gdb',
        followChildren: false,
        stopInChildren: false,
      },
    );
  });

  it('is told all that is wrong with it at once, in words', () => {
    const wrong = {
      args: [1],
      env: [],
      node: '',
      stopAtEntry: 'no',
      console: 'tv',
      jobName: 'x'.repeat(201),
    };
    expect(() => parseArguments(LaunchArguments, 'launch', wrong)).toThrow(
      /^this launch configuration is not valid: (.+; ){6}.+$/,
    );
    const complaints = [
      '"program" is missing',
      '"args.0" must be a text, not a number',
      '"env" must be an object, not a list',
      '"node" must not be empty',
      '"stopAtEntry" must be true or false, not a text',
      '"console" must be one of "debugConsole", "panel", "terminal"',
    ];
    for (const complaint of complaints)
      expect(() => parseArguments(LaunchArguments, 'launch', wrong)).toThrow(complaint);
    expect(() => parseArguments(AttachArguments, 'attach', undefined)).toThrow('"job" is missing');
  });
});

describe('what gdb prints', () => {
  it('is shown where it answers a person, or warns', async () => {
    const filter = new GdbOutputFilter();
    expect(filter.take('Breakpoint 1, main ()\n', 'stdout')).toBeUndefined();
    expect(filter.take('warning: it is late\n', 'log')).toBe('warning: it is late\n');
    await filter.during(async () => {
      expect(filter.take('$1 = 3\n', 'stdout')).toBe('$1 = 3\n');
      expect(filter.take('print 3\n', 'log')).toBeUndefined();
    });
    expect(filter.take('$2 = 4\n', 'stdout')).toBeUndefined();
  });

  it('has the lines of log points in it, in one piece or in several', () => {
    const filter = new GdbOutputFilter();
    expect(filter.take(`${LOG_BEGIN}x is 3${LOG_END}\n`, 'stdout')).toBe('x is 3\n');
    expect(filter.take(`${LOG_BEGIN}two\n`, 'stdout')).toBeUndefined();
    expect(filter.take(`lines${LOG_END}\n`, 'stdout')).toBe('two\nlines\n');
    expect(filter.take('filter\n', 'stdout')).toBeUndefined();
  });

  it('says whether the program, not one of its libraries, has symbols', () => {
    const [stripped, built] = [new GdbOutputFilter(), new GdbOutputFilter()];
    for (const text of ['Reading symbols from /a/b...\n', '(No debugging symbols found in /a/b)\n'])
      stripped.take(text, 'stdout');
    expect(stripped.withoutSymbols).toBe('/a/b');
    for (const text of ['Reading symbols from /a/b...\n', '(No debugging symbols found in /lib/c)\n'])
      built.take(text, 'stdout');
    expect(built.withoutSymbols).toBeUndefined();
  });
});

describe('a stop', () => {
  const context = { pausing: false, entry: undefined, group: undefined };

  it('is an end, with the status that shells have', () => {
    expect(exitOf({ reason: 'exited-normally' })).toEqual({ exit: 0, signal: null });
    expect(exitOf({ reason: 'exited', 'exit-code': '052' })).toEqual({ exit: 42, signal: null });
    const killed = { reason: 'exited-signalled', 'signal-name': 'SIGSEGV' };
    expect(exitOf(killed)).toEqual({ exit: 139, signal: 'SIGSEGV' });
    expect(exitOf({ reason: 'breakpoint-hit' })).toBeUndefined();
  });

  it.each([
    [{ reason: 'breakpoint-hit', bkptno: '1' }, { entry: '1' }, { reason: 'entry' }],
    [
      { reason: 'breakpoint-hit', bkptno: '2' },
      { group: FUNCTIONS },
      { reason: 'function breakpoint', hitBreakpointIds: [2] },
    ],
    [{ reason: 'breakpoint-hit', bkptno: '3' }, {}, { reason: 'breakpoint' }],
    [{ reason: 'read-watchpoint-trigger' }, {}, { reason: 'data breakpoint' }],
    [{ reason: 'function-finished' }, {}, { reason: 'step' }],
    [
      { reason: 'function-finished', 'return-value': '7' },
      {},
      { reason: 'step', description: 'Paused after return of 7' },
    ],
    [
      { reason: 'breakpoint-hit', bkptno: '4' },
      { caught: 'a fork' },
      { reason: 'exception', description: 'Paused on a fork', hitBreakpointIds: [4] },
    ],
    [{ reason: 'signal-received', 'signal-name': 'SIGINT' }, { pausing: true }, { reason: 'pause' }],
    [
      { reason: 'signal-received', 'signal-name': 'SIGINT', 'signal-meaning': 'Interrupt' },
      {},
      { reason: 'exception', description: 'Paused on SIGINT', text: 'SIGINT: Interrupt' },
    ],
    [{ reason: 'fork' }, {}, { reason: 'pause', description: 'Paused: fork' }],
  ])('%o, %o', (stopped, more, reason) => {
    expect(reasonOf(stopped, { ...context, ...more })).toEqual(reason);
  });
});

describe('a hit count', () => {
  it.each([
    ['5', { kind: 'at', count: 5 }, 4, 1],
    ['= 5', { kind: 'at', count: 5 }, 4, 1],
    ['==5', { kind: 'at', count: 5 }, 4, 1],
    ['>=5', { kind: 'from', count: 5 }, 4, undefined],
    ['> 5', { kind: 'from', count: 6 }, 5, undefined],
    ['<5', { kind: 'until', count: 4 }, 0, 4],
    ['<=5', { kind: 'until', count: 5 }, 0, 5],
    ['% 5', { kind: 'each', count: 5 }, 4, undefined],
  ])('%s', (text, hits, passed, stops) => {
    const known = hitsOf(text)!;
    expect(known).toEqual(hits);
    expect([passedBy(known), stopsOf(known)]).toEqual([passed, stops]);
  });

  it('is refused where it means nothing', () => {
    expect(hitsOf(' ')).toBeUndefined();
    for (const text of ['often', '=>5', '5%', '-1', '1e3', '%0', '0', '<1', '<=0'])
      expect(() => hitsOf(text)).toThrow(text);
  });
});

it('the message of a log point is texts and expressions', () => {
  expect(logParts('at {x}: {y[0]} \\{z\\}')).toEqual([
    ['at ', false],
    ['x', true],
    [': ', false],
    ['y[0]', true],
    [' ', false],
    ['{', false],
    ['z', false],
    ['}', false],
  ]);
});

it.each([
  ['launch', LaunchArguments],
  ['attach', AttachArguments],
] as const)('package.json offers each key of %s, and no other', (request, schema) => {
  const { contributes } = JSON.parse(readFileSync(inProject('package.json'), 'utf8'));
  const offered = contributes.debuggers[0].configurationAttributes[request].properties;
  expect(Object.keys(offered).sort()).toEqual(Object.keys(schema.shape).sort());
});

it('a key of a launch configuration that is not known is named, with what it may have been', () => {
  const known = Object.keys(LaunchArguments.shape);
  const config = {
    type: 'godwit',
    name: 'x',
    request: 'launch',
    program: 'a',
    __sessionId: '1',
    preLaunchTask: 'b',
  };
  expect(unknownKeys(known, config)).toEqual([]);
  expect(unknownKeys(known, { ...config, stopatentry: 1, colour: 2 })).toEqual([
    expect.stringContaining('did you mean "stopAtEntry"?'),
    '"colour" is not known to this debug configuration and was ignored',
  ]);
});

it('the environment is the editor’s, without what is the editor’s own, then the file’s, then what was asked for', () => {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-environment-'));
  try {
    const file = join(folder, 'env');
    writeFileSync(file, 'A=file\nB=file\nC="two words"\n');
    const own = { A: 'own', D: 'own', E: 'own', VSCODE_X: '1', ELECTRON_Y: '1' };
    const all = environment({ B: 'asked', E: null }, file, own);
    expect(all).toEqual({ A: 'file', B: 'asked', C: 'two words', D: 'own' });
    expect(() => environment({}, join(folder, 'none'), own)).toThrow(/none/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe('moves of a job', () => {
  const id = 'abcdefghij';
  const event = (event: HistoryEvent['event'], more: Partial<HistoryEvent> = {}): HistoryEvent => ({
    time: `2026-01-01T00:00:${String(clock++).padStart(2, '0')}.000Z`,
    job: id,
    node: 'node1',
    event,
    ...more,
  });
  let clock = 0;
  const report = { job: id, from: 'node1', to: 'node2', epoch: 1, freezeMs: 12, totalMs: 34 } as MoveReport;

  function scene(history: HistoryEvent[]) {
    const told: unknown[] = [];
    const watcher = new MoveWatcher(id, async () => history, {
      moving: (move) => told.push(['moving', move.epoch]),
      moved: (move, figures) => told.push(['moved', move.from, move.to, figures?.freezeMs]),
      aborted: (move, reason) => told.push(['aborted', move.to, reason]),
      lost: (reason) => told.push(['lost', reason]),
    });
    /** A snapshot in which the job has come so far. */
    const look = async (epoch: number, moving = false) => {
      const job = { id, epoch, node: 'node1', migrations: 0, state: 'running' } as Job;
      const move = { job: id, from: 'node1', to: 'node2', epoch, phase: 'sending' as const, since: '' };
      watcher.look({ time: '', nodes: [], jobs: [job], moves: moving ? [move] : [] } as ClusterSnapshot);
      await new Promise(setImmediate);
    };
    return { watcher, told, look };
  }

  const intent = (epoch = 1) => event('move-intent', { epoch, to: 'node2' });

  it('are told once each, and those before the session not at all', async () => {
    const history = [event('launched'), intent(), event('move-aborted', { epoch: 1, reason: 'old' })];
    const { watcher, told, look } = scene(history);
    await watcher.begin();
    await look(1);
    expect(told).toEqual([]);
    // Begun and ended between two snapshots.
    history.push(
      intent(2),
      event('move-thawed', { epoch: 2 }),
      event('move-finished', { epoch: 2, move: report }),
    );
    await look(2);
    await look(2);
    expect(told).toEqual([
      ['moving', 2],
      ['moved', 'node1', 'node2', 12],
    ]);
    history.push(intent(3));
    await look(3, true);
    history.push(event('move-aborted', { epoch: 3, reason: 'no room' }));
    await look(3);
    expect(told.slice(2)).toEqual([
      ['moving', 3],
      ['aborted', 'node2', 'no room'],
    ]);
  });

  it('that are under way when the session begins are told', async () => {
    const history = [event('launched'), intent()];
    const { watcher, told, look } = scene(history);
    await watcher.begin();
    await look(1, true);
    history.push(event('move-committed', { epoch: 2, reason: 'given back: it was never thawed' }));
    await look(2);
    expect(told).toEqual([
      ['moving', 1],
      ['aborted', 'node2', 'given back: it was never thawed'],
    ]);
  });

  it('whose report was never written are told without figures', async () => {
    const history = [intent(), event('move-thawed', { epoch: 1 })];
    const { watcher, told, look } = scene(history);
    await watcher.begin();
    for (let snapshot = 0; snapshot < 5; snapshot++) await look(1);
    expect(told).toEqual([
      ['moving', 1],
      ['moved', 'node1', 'node2', undefined],
    ]);
  });

  it('may end in a loss', async () => {
    const history = [event('launched')];
    const { watcher, told, look } = scene(history);
    await watcher.begin();
    history.push(intent(), event('lost', { epoch: 1, reason: 'node2 is gone' }));
    await look(1);
    expect(told).toEqual([
      ['moving', 1],
      ['lost', 'node2 is gone'],
    ]);
  });
});
