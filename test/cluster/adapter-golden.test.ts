/**
 * Whole debug sessions, word for word: whatever changes in what an editor is told is seen here, wanted or not.
 * With UPDATE_GOLDEN=1 what is said now is written down as what is right.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { lineOf } from '../support/c-programs';
import type { DebugClient } from '../support/dap';
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

interface Tour {
  source: string;
  compiler(folder: string): string[];
  /** What a line is found by. */
  mark?(text: string): string;
  opened: string[];
  expressions: string[];
  /** The language has threads of its own, as many as it likes. */
  threads?: boolean;
}

const TOURS: Tour[] = [
  {
    source: 'tour.c',
    compiler: () => ['gcc', '-g', '-O0'],
    opened: ['first', 'label', 'row', 'text'],
    expressions: ['first.next->colour', 'row,[2],x', '&last', 'sum = 100', 'label', 'nonsense'],
  },
  {
    source: 'tour.cc',
    compiler: () => ['g++', '-g', '-O0'],
    opened: ['row', 'ages', 'shape'],
    expressions: ['row[1]', 'row.size()', 'label', '*shape', 'sum = 100', 'nonsense'],
  },
  {
    source: 'tour.f90',
    compiler: (folder) => ['gfortran', '-g', '-O0', '-J', folder],
    mark: (text) => `! ${text}`,
    opened: ['row', 'grid', 'first'],
    expressions: ['row(2)', 'grid', 'first%mass', 'turn', 'sum = 100', 'label', 'nonsense'],
  },
  {
    source: 'tour.rs',
    // Debian's: what others make of values differs from version to version.
    compiler: () => ['/usr/bin/rustc', '-g', '-C', 'opt-level=0'],
    opened: ['row', 'ages', 'shape', 'first'],
    expressions: ['row', 'first.next', 'label', 'word', 'sum = 100', 'nonsense'],
  },
  {
    source: 'tour.go',
    compiler: (folder) => ['env', `GOCACHE=${folder}/go`, 'go', 'build', '-gcflags', 'all=-N -l'],
    opened: ['row', 'ages', 'first'],
    expressions: ['row', 'first.next', 'label', 'shape', 'sum = 100', 'nonsense'],
    threads: true,
  },
];

/** What is added to the watches says, of each part of these, what the part says. */
async function meanThemselves(
  client: DebugClient,
  variables: DebugProtocol.Variable[],
  frameId: number,
  depth = 2,
): Promise<void> {
  for (const { variablesReference, evaluateName, value, presentationHint } of variables) {
    if (evaluateName && presentationHint?.kind !== 'virtual')
      expect([evaluateName, await client.evaluate(evaluateName, frameId)]).toEqual([evaluateName, value]);
    if (variablesReference === 0 || depth === 0) continue;
    const inside = await client.request<DebugProtocol.VariablesResponse['body']>('variables', {
      variablesReference,
      start: 0,
      count: 3,
    });
    await meanThemselves(client, inside.variables, frameId, depth - 1);
  }
}

it.each(TOURS)('$source', async ({ source, compiler, mark, opened, expressions, threads }) => {
  const path = golden(source);
  const program = await labs.compile(path, compiler(labs.lab.folder), source.replace('.', '-'));
  const session = await labs.launch(program, path, [], { config: { stopAtEntry: true } });
  const said = new Transcript(session.client, [
    [session.job, 'JOB'],
    [program, 'PROGRAM'],
    [inProject(), 'PROJECT'],
  ]);
  const at = (text: string) => lineOf(path, mark?.(text) ?? `/* ${text} */`);
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

  said.noteSorted('capabilities', session.capabilities);
  await said.stop();
  const breakpoints = [{ line: at('looks') }, { line: at('weighed'), condition: 'times == 3' }];
  await said.ask('setBreakpoints', { source: { path }, breakpoints });
  await go('continue');
  if (!threads) await said.ask('threads');
  const [frame] = await stack();
  const { variables } = await locals(frame!.id);
  for (const { name, variablesReference } of variables)
    if (opened.includes(name)) await said.ask('variables', { variablesReference });
  await meanThemselves(session.client, variables, frame!.id);
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
  await session.client.event('terminated');
  await said.ask('disconnect');
  said.events(threads ? ['thread'] : []);

  const file = golden(`${source}.jsonl`);
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(file, said.text);
  expect(said.text.split('\n')).toEqual(readFileSync(file, 'utf8').split('\n'));
});
