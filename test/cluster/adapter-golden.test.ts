/**
 * Whole debug sessions, word for word: whatever changes in what an editor is told is seen here, wanted or not.
 * With UPDATE_GOLDEN=1 what is said now is written down as what is right.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { lineOf } from '../support/c-programs';
import { DebugLab } from '../support/debug-lab';
import { inProject } from '../support/project';
import { Transcript } from '../support/transcript';

const golden = (name: string) => inProject('test', 'fixtures', 'golden', name);

let labs: DebugLab;
beforeAll(async () => {
  labs = await DebugLab.up(`t${process.pid}-golden`);
});
afterEach(() => labs.clear());
afterAll(() => labs?.lab.down());

const TOURS = [
  {
    source: 'tour.c',
    compiler: 'gcc',
    opened: ['first', 'label', 'row', 'text'],
    expressions: ['first.next->colour', 'row,[2],x', '&last', 'sum = 100', 'label', 'nonsense'],
  },
  {
    source: 'tour.cc',
    compiler: 'g++',
    opened: ['row', 'ages', 'shape'],
    expressions: ['row[1]', 'row.size()', 'label', '*shape', 'sum = 100', 'nonsense'],
  },
];

it.each(TOURS)('$source', async ({ source, compiler, opened, expressions }) => {
  const path = golden(source);
  const program = await labs.compile(path, [compiler, '-g', '-O0'], source.replace('.', '-'));
  const session = await labs.launch(program, path, [], { config: { stopAtEntry: true } });
  const said = new Transcript(session.client, [
    [session.job, 'JOB'],
    [program, 'PROGRAM'],
    [inProject(), 'PROJECT'],
  ]);
  const at = (text: string) => lineOf(path, `/* ${text} */`);
  const go = async (command: string, args: object = {}) => {
    await said.ask(command, { threadId: 1, ...args });
    await said.stop();
  };
  const stack = async () =>
    (await said.ask<DebugProtocol.StackTraceResponse['body']>('stackTrace', { threadId: 1 })).stackFrames;
  const locals = async (frameId: number) => {
    const { scopes } = await said.ask<DebugProtocol.ScopesResponse['body']>('scopes', { frameId });
    const { variablesReference } = scopes[0]!;
    return said.ask<DebugProtocol.VariablesResponse['body']>('variables', { variablesReference });
  };

  said.note('capabilities', session.capabilities);
  await said.stop();
  const breakpoints = [{ line: at('looks') }, { line: at('weighed'), condition: 'times == 3' }];
  await said.ask('setBreakpoints', { source: { path }, breakpoints });
  await go('continue');
  await said.ask('threads');
  const [frame] = await stack();
  const { variables } = await locals(frame!.id);
  for (const { name, variablesReference } of variables)
    if (opened.includes(name)) await said.ask('variables', { variablesReference });
  await go('next');
  await said.ask('godwit.migrate', { node: 'node2' });
  await go('stepIn');
  await stack();
  await go('stepOut');
  const [back] = await stack();
  for (const expression of expressions)
    await said.ask('evaluate', { expression, frameId: back!.id, context: 'repl' });
  await said.ask('setExpression', { expression: 'times', value: '7', frameId: back!.id });
  await said.ask('setBreakpoints', { source: { path }, breakpoints: breakpoints.slice(1) });
  await go('continue');
  await stack();
  await said.ask('continue', { threadId: 1 });
  await session.client.event('terminated', 60_000);
  await said.ask('disconnect');
  said.events();

  const file = golden(`${source}.jsonl`);
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(file, said.text);
  expect(said.text.split('\n')).toEqual(readFileSync(file, 'utf8').split('\n'));
});
