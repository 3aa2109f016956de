/** Sessions whose program begins anew, and those on what a program has left. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { lineOf } from '../support/c-programs';
import { type Begin, type Debugged, DebugLab } from '../support/debug-lab';
import { run } from '../support/processes';
import { inProject } from '../support/project';
import { Terminal } from '../support/terminal';

const STOPS = inProject('test', 'fixtures', 'programs', 'stops.cpp');
const at = (text: string) => lineOf(STOPS, `/* ${text} */`);

let labs: DebugLab;
let stops = '';

beforeAll(async () => {
  labs = await DebugLab.up(`t${process.pid}-anew`);
  stops = await labs.compile(STOPS, ['g++', '-g', '-O0', '-pthread'], 'stops');
});
afterEach(() => {
  Terminal.closeAll();
  return labs.clear();
});
afterAll(() => labs?.lab.down());

const launch = (args: (string | number)[], options: Begin = {}) => labs.launch(stops, STOPS, args, options);
const valueIn = async (session: Debugged, expression: string) =>
  session.client.evaluate(expression, (await session.stack())[0]!.id);
const jobs = (session: Debugged) => session.client.all<{ id: string }>('godwit.job').map(({ id }) => id);

/** null: it has ended. */
const stateOf = async (job: string) => {
  const { state } = await labs.lab.ask('node1', 'jobs.show', { job });
  return state === 'ended' ? null : state;
};

describe.each(['home', 'away'] as const)('a restart, %s', (place) => {
  it('ends the job and launches it anew, and its breakpoints count from the first hit', async () => {
    const session = await launch([10], { breakpoints: [{ line: at('calls'), hitCondition: '=4' }] });
    expect(session.capabilities).toMatchObject({ supportsRestartRequest: true });
    await session.client.stopped();
    if (place === 'away') await session.move('node2');
    for (const known of [1, 2]) {
      await session.client.request('restart', { arguments: { args: ['20'] } });
      await session.client.stopped();
      expect(await session.line()).toBe(at('calls'));
      expect(await valueIn(session, 'round')).toBe('4');
      expect(await valueIn(session, 'rounds')).toBe('20');
      expect(new Set(jobs(session)).size).toBe(known + 1);
    }
    for (const old of jobs(session).slice(0, -1)) await labs.lab.comesTo(() => stateOf(old));
    const now = new Set(jobs(session));
    expect(now.size).toBe(3);
    expect(session.client.all('terminated')).toEqual([]);
  });

  it('of a program that runs, to the beginning of main', async () => {
    const session = await launch([10]);
    await session.client.outputHas('done');
    if (place === 'away') await session.move('node2');
    await session.client.request('restart', { arguments: { stopAtEntry: true } });
    expect(await session.client.stopped()).toMatchObject({ reason: 'entry' });
    expect((await session.stack())[0]!.name).toContain('main');
    await session.move('node3');
    await session.client.request('disconnect', { terminateDebuggee: true });
    expect(session.client.all('terminated')).toHaveLength(1);
    for (const old of jobs(session)) await labs.lab.comesTo(() => stateOf(old));
  });
});

it('a program that was built anew is read anew, and what was set by an address is gone', async () => {
  const source = join(labs.lab.folder, 'built.c');
  const write = (value: string) =>
    writeFileSync(source, `int value = ${value};\nint main(void) {\n  value++;\n  return value;\n}\n`);
  write('1');
  const program = await labs.compile(source, ['gcc', '-g', '-O0'], 'built');
  const session = await labs.launch(program, source, [], { breakpoints: [{ line: 4 }] });
  await session.client.stopped();
  const { dataId } = await session.client.request<{ dataId: string }>('dataBreakpointInfo', {
    name: 'value',
  });
  const { breakpoints } = await session.client.request<{ breakpoints: DebugProtocol.Breakpoint[] }>(
    'setDataBreakpoints',
    { breakpoints: [{ dataId }] },
  );
  write('40 + 1');
  await labs.compile(source, ['gcc', '-g', '-O0'], 'built');
  await session.client.request('restart');
  expect(await session.client.stopped()).toMatchObject({ reason: 'breakpoint' });
  expect(await valueIn(session, 'value')).toBe('42');
  expect(session.client.all('breakpoint')).toContainEqual(
    expect.objectContaining({ reason: 'removed', breakpoint: expect.objectContaining(breakpoints[0]!) }),
  );
});

it('a restart that is not possible ends the session, and says why', async () => {
  const session = await launch([10], { breakpoints: [{ line: at('calls') }] });
  await session.client.stopped();
  const refused = session.client.request('restart', { arguments: { args: 'no list' } });
  await expect(refused).rejects.toThrow(/"args" must be a list/);
  expect(await session.step()).toBeGreaterThan(0);
  const gone = session.client.request('restart', { arguments: { program: '/nowhere/program' } });
  await expect(gone).rejects.toThrow(/\/nowhere\/program/);
  await session.client.event('terminated');
  await labs.lab.comesTo(() => stateOf(jobs(session)[0]!));
});

it('what a program has left is looked at: its signal, frames, values; and nothing of it runs', async () => {
  const core = join(labs.lab.folder, 'core');
  const argv = ['gdb', '-nx', '-batch', '-ex', 'run 10 raise', '-ex', `generate-core-file ${core}`, stops];
  expect((await run(argv)).status).toBe(0);
  const session = await labs.look({ program: stops, coreFile: core }, STOPS, [{ line: at('calls') }]);
  expect(session.placed).toMatchObject([{ verified: false, message: expect.stringContaining('has ended') }]);
  expect(await session.client.stopped()).toMatchObject({
    reason: 'exception',
    description: 'Ended by SIGFPE',
  });
  const main = (await session.stack()).find(({ name }) => name.startsWith('main'))!;
  expect(main.line).toBe(at('raises'));
  const locals = await session.client.scope(main.id);
  expect(locals.find(({ name }) => name === 'round')!.value).toBe('4');
  expect(await session.client.evaluate('label', main.id)).toContain('first');
  await expect(session.resume()).rejects.toThrow(/not being run/);
  await expect(session.client.request('next', { threadId: 1 })).rejects.toThrow(/not being run/);
  await session.client.request('disconnect');
  expect(session.client.all('terminated')).toHaveLength(1);
  await expect(labs.look({ program: stops, coreFile: '/nowhere/core' }, STOPS)).rejects.toThrow(
    /\/nowhere\/core/,
  );
});

it('has its terminal where the client runs commands in one', async () => {
  const session = await labs.launch(
    '/bin/sh',
    STOPS,
    ['-c', 'test -t 0 && read word && echo "got $word" && read end'],
    {
      client: { supportsRunInTerminalRequest: true },
      config: { console: 'integratedTerminal' },
    },
  );
  type Asked = DebugProtocol.RunInTerminalRequestArguments & { env: Record<string, string> };
  const { seq, args } = await session.client.askedFor<Asked>(0, 'runInTerminal');
  expect(args).toMatchObject({ kind: 'integrated', title: 'sh' });
  const terminal = new Terminal(args.args, args.env);
  session.client.answer(seq, 'runInTerminal');
  terminal.type('hello\r');
  await terminal.shows('got hello');
  await session.move('node2');
  terminal.type('\r');
  expect(await session.client.event('exited')).toEqual({ exitCode: 0 });
  await terminal.ended;
});

it('has no terminal where the client opens none, and that is said', async () => {
  const { client } = await launch([1], { config: { console: 'externalTerminal' } });
  await client.outputHas('The editor opened no terminal: ');
  expect(client.asked).toEqual([]);
});
