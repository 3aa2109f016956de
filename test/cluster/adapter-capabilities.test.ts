/** What a client of the debug adapter may ask for besides stops and values: each capability, at home and away. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { lineOf } from '../support/c-programs';
import type { DebugClient } from '../support/dap';
import { type Begin, type Debugged, DebugLab } from '../support/debug-lab';
import { inProject } from '../support/project';

const STOPS = inProject('test', 'fixtures', 'programs', 'stops.cpp');
const at = (text: string) => lineOf(STOPS, `/* ${text} */`);

let labs: DebugLab;
let stops = '';

beforeAll(async () => {
  labs = await DebugLab.up(`t${process.pid}-stops-c`);
  stops = await labs.compile(STOPS, ['g++', '-g', '-O0', '-pthread'], 'stops');
});
afterEach(() => labs.clear());
afterAll(() => labs?.lab.down());

const launch = (args: (string | number)[], options: Begin = {}) => labs.launch(stops, STOPS, args, options);
const atCalls = (args: (string | number)[] = [10], options: Begin = {}) =>
  launch(args, { breakpoints: [{ line: at('calls') }], ...options });

const places = ['home', 'away'] as const;
const brought = async (session: Debugged, place: (typeof places)[number]) => {
  if (place === 'away') await session.move('node2');
};
const source = { path: STOPS };

describe.each(places)('exceptions, %s', (place) => {
  const filters = (client: DebugClient, names: string[], options: object[] = []) =>
    client.request('setExceptionBreakpoints', { filters: names, filterOptions: options });
  const info = (session: Debugged) =>
    session.client.request<DebugProtocol.ExceptionInfoResponse['body']>('exceptionInfo', { threadId: 1 });

  it('of C++ are caught where they are thrown and where they are caught', async () => {
    const session = await atCalls();
    await session.client.stopped();
    await brought(session, place);
    await session.client.setBreakpoints(STOPS, []);
    await filters(session.client, ['throw', 'catch', 'fatal-signals']);
    expect(await session.on('exception')).toMatchObject({
      description: 'Paused on a C++ exception that is thrown',
    });
    expect((await session.stack()).map(({ name }) => name).join()).toContain('fail');
    expect(await info(session)).toMatchObject({
      exceptionId: 'std::runtime_error',
      description: 'number 3',
      breakMode: 'always',
      details: { typeName: 'std::runtime_error', message: 'number 3' },
    });
    expect(await session.on('exception')).toMatchObject({
      description: 'Paused on a C++ exception that is caught',
    });
    expect(await info(session)).toMatchObject({ exceptionId: 'std::runtime_error', description: 'number 3' });
    await filters(session.client, []);
    await session.resume();
    await session.client.outputHas('done');
  });

  it('that are signals: fatal ones by themselves, on conditions, or not at all', async () => {
    const session = await atCalls([10, 'raise']);
    await session.client.stopped();
    await brought(session, place);
    await session.client.setBreakpoints(STOPS, []);
    expect(await session.on('exception')).toMatchObject({ description: 'Paused on SIGFPE' });
    expect(await info(session)).toMatchObject({ exceptionId: 'SIGFPE', description: 'Arithmetic exception' });
    await session.resume();
    await session.client.outputHas('done');

    const conditioned = async (condition: string) => {
      const next = await launch([10, 'raise'], {
        configure: (client) => filters(client, [], [{ filterId: 'fatal-signals', condition }]),
      });
      return next.client;
    };
    // raise(3): SI_TKILL.
    expect(await (await conditioned('$_siginfo.si_code == -6')).stopped()).toMatchObject({
      reason: 'exception',
    });
    const other = await conditioned('$_siginfo.si_code == 1');
    await other.outputHas('done');
    expect(other.all('stopped')).toEqual([]);

    const ignored = await launch([10, 'raise'], { configure: (client) => filters(client, []) });
    await ignored.client.outputHas('done');
    expect(ignored.client.all('stopped')).toEqual([]);
  });

  it('that are forks', async () => {
    const session = await atCalls([10, 'fork']);
    await session.client.stopped();
    await brought(session, place);
    await session.client.setBreakpoints(STOPS, []);
    await filters(session.client, ['fork']);
    expect(await session.on('exception')).toMatchObject({ description: 'Paused on a fork' });
    if (place === 'home') await expect(session.move('node3')).rejects.toThrow(/fork/);
    await session.resume();
    await session.client.outputHas('done');
    await session.move('node3');
  });
});

describe.each(places)('what is in the program, %s', (place) => {
  it('lines that breakpoints can be at', async () => {
    const session = await atCalls();
    await session.client.stopped();
    await brought(session, place);
    const body = await session.client.request<{ breakpoints: { line: number }[] }>('breakpointLocations', {
      source,
      line: at('calls') - 1,
      endLine: at('cell') + 1,
    });
    const lines = body.breakpoints.map(({ line }) => line);
    expect(lines).toContain(at('calls'));
    expect(lines).toContain(at('cell'));
    const [comment] = (
      await session.client.request<{ breakpoints: object[] }>('breakpointLocations', { source, line: 2 })
    ).breakpoints;
    expect(comment).toBeUndefined();
  });

  it('modules and sources', async () => {
    const session = await atCalls();
    await session.client.stopped();
    await brought(session, place);
    const { modules, totalModules } = await session.client.request<{
      modules: DebugProtocol.Module[];
      totalModules: number;
    }>('modules');
    expect(totalModules).toBe(modules.length);
    expect(modules[0]).toMatchObject({ name: 'stops', path: stops, symbolStatus: 'Symbols loaded' });
    expect(modules.some(({ name }) => name.startsWith('libstdc++'))).toBe(true);
    const { sources } = await session.client.request<{ sources: DebugProtocol.Source[] }>('loadedSources');
    expect(sources.map(({ path }) => path)).toContain(STOPS);
  });

  it('what can be typed', async () => {
    const session = await atCalls();
    await session.client.stopped();
    await brought(session, place);
    const frameId = (await session.stack())[0]!.id;
    const complete = async (text: string) =>
      (
        await session.client.request<DebugProtocol.CompletionsResponse['body']>('completions', {
          text,
          column: text.length + 1,
          frameId,
        })
      ).targets;
    expect(await complete('1 + roun')).toContainEqual({ label: 'rounds', start: 4, length: 4 });
    // Many libraries have names like that; the frame's own are among those that are told.
    expect((await complete('r')).map(({ label }) => label)).toEqual(
      expect.arrayContaining(['round', 'rounds']),
    );
    expect((await complete('>info thre')).map(({ label }) => label)).toEqual(['threads']);
    expect((await complete('>set var cel')).map(({ label }) => label)).toContain('cells');
  });
});

describe.each(places)('going elsewhere, %s', (place) => {
  it('to a line of the same function, and to no other', async () => {
    const session = await atCalls();
    await session.client.stopped();
    await brought(session, place);
    const targetsOf = async (line: number) =>
      (
        await session.client.request<DebugProtocol.GotoTargetsResponse['body']>('gotoTargets', {
          source,
          line,
        })
      ).targets;
    const [target] = await targetsOf(at('dives'));
    expect(target).toMatchObject({ line: at('dives') });
    await session.client.request('goto', { threadId: 1, targetId: target!.id });
    expect(await session.client.stopped()).toMatchObject({ reason: 'goto' });
    expect(await session.line()).toBe(at('dives'));
    const [elsewhere] = await targetsOf(lineOf(STOPS, 'int result = 2 * n'));
    await expect(session.client.request('goto', { threadId: 1, targetId: elsewhere!.id })).rejects.toThrow(
      /of the function that it is in/,
    );
    expect(await session.step()).toBeGreaterThan(0);
  });

  it('into one of the calls of a line', async () => {
    const session = await atCalls();
    await session.client.stopped();
    await brought(session, place);
    const frameId = (await session.stack())[0]!.id;
    const { targets } = await session.client.request<DebugProtocol.StepInTargetsResponse['body']>(
      'stepInTargets',
      {
        frameId,
      },
    );
    expect(targets.map(({ label }) => label)).toEqual(['inner(int)', 'outer(int)']);
    const line = await session.step('stepIn', { targetId: targets[1]!.id });
    expect(line).toBe(lineOf(STOPS, 'int result = 2 * n'));
    expect((await session.stack())[1]!.name).toContain('main');
  });
});

describe.each(places)('one thread alone, %s', (place) => {
  it('steps while the others stand', async () => {
    const session = await launch([10, 'ticks'], { breakpoints: [{ line: at('ticks') }] });
    await session.client.stopped();
    await brought(session, place);
    const ticks = async () => session.client.evaluate('ticks', (await session.stack())[0]!.id);
    const before = await ticks();
    // What it waits for comes from another thread.
    await session.client.request('next', { threadId: 1, singleThread: true });
    await session.client.outputHas('waits');
    await session.client.request('pause', { threadId: 1 });
    expect(await session.client.stopped()).toMatchObject({ reason: 'pause' });
    expect((await session.stack()).at(-1)!.line).toBe(at('ticks'));
    expect(await ticks()).toBe(before);
    // For that step only.
    await session.resume();
    await session.client.outputHas('done');
  });
});

describe('a configuration', () => {
  it('has commands for gdb, and says which of them failed', async () => {
    const session = await atCalls([10], {
      config: {
        setupCommands: [
          'set print elements 7',
          { text: '-gdb-set print repeats 3', description: 'by MI' },
          { text: 'nonsense', ignoreFailures: true },
        ],
      },
    });
    await session.client.stopped();
    await session.client.outputHas('the command "nonsense" of setupCommands failed: ');
    const frame = (await session.stack())[0]!.id;
    for (const [setting, value] of [
      ['elements', '7'],
      ['repeats', '3'],
    ]) {
      const before = session.client.said('console').length;
      await session.client.evaluate(`>show print ${setting}`, frame, 'repl');
      await session.client.comesTo(`the setting of ${setting}`, () =>
        session.client.said('console').slice(before).includes(`${value}.`),
      );
    }
    await expect(launch([1], { config: { setupCommands: ['nonsense'] } })).rejects.toThrow(/nonsense/);
  });

  it('says where sources are now, and has a file of variables', async () => {
    const built = join(labs.lab.folder, 'built');
    const here = join(labs.lab.folder, 'here');
    mkdirSync(built);
    mkdirSync(here);
    const was = join(built, 'small.c');
    const is = join(here, 'small.c');
    writeFileSync(
      was,
      '#include <stdio.h>\n#include <stdlib.h>\nint main(void) {\n  printf("%s %s\\n", getenv("FIRST"), getenv("SECOND"));\n  return 0;\n}\n',
    );
    const program = await labs.compile(was, ['gcc', '-g', '-O0'], 'small');
    renameSync(was, is);
    const envFile = join(labs.lab.folder, 'variables');
    writeFileSync(envFile, '# a comment\nFIRST="one two"\nSECOND=three\n');
    const config = { sourceFileMap: { [built]: here }, envFile, env: { SECOND: 'four' } };
    const session = await labs.launch(program, is, [], { breakpoints: [{ line: 4 }], config });
    expect(session.placed).toMatchObject([{ verified: true }]);
    await session.client.stopped();
    expect((await session.stack())[0]!.source).toMatchObject({ path: is });
    await session.resume();
    await session.client.event('exited');
    expect(session.output).toBe('one two four\n');
    await expect(launch([1], { config: { envFile: '/nowhere/env' } })).rejects.toThrow(/\/nowhere\/env/);
  });
});
