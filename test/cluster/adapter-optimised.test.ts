/** A code base of thousands of lines, optimised, with OpenMP: the parallel mode of GNU's C++ library. */
import { basename } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { lineOf } from '../support/c-programs';
import { DebugLab } from '../support/debug-lab';
import { inProject } from '../support/project';

const SORT = inProject('test', 'fixtures', 'programs', 'parallel-sort.cpp');
const RECORDS = 200_000;
const THREADS = 4;
const at = (text: string) => lineOf(SORT, `/* ${text} */`);

let labs: DebugLab;
let sort = '';

beforeAll(async () => {
  labs = await DebugLab.up(`t${process.pid}-optimised`);
  sort = await labs.compile(SORT, ['g++', '-O2', '-g', '-fopenmp'], 'parallel-sort');
});
afterEach(() => labs.clear());
afterAll(() => labs?.lab.down());

it.each(['home', 'away'] as const)('is stepped through, moved and looked at, %s', async (place) => {
  const { client, ...session } = await begin();
  const { threadId } = await client.stopped();
  if (place === 'away') await session.move('node2');
  const { threads } = await client.request<{ threads: { id: number }[] }>('threads');
  expect(threads).toHaveLength(THREADS);
  const stack = await client.stack(threadId);
  expect(stack[0]!.name).toContain('parallel_sort_mwms_pu');
  expect(basename(stack[0]!.source!.path!)).toBe('multiway_mergesort.h');
  expect(stack.map(({ name }) => name).join('\n')).toContain('_omp_fn');
  // What was optimised away is said to be, and what is there is read through the templates' types.
  const locals = await client.scope(stack[0]!.id);
  expect(locals.find(({ name }) => name === '__length_local')!.value).toContain('optimized out');
  const data = await client.variables(locals.find(({ name }) => name === '__sd')!.variablesReference);
  expect(data.find(({ name }) => name === '_M_num_threads')!.value).toBe(String(THREADS));
  expect(await client.evaluate('__sd->_M_source._M_current[7].place', stack[0]!.id)).toBe('7');
  await client.request('setFunctionBreakpoints', { breakpoints: [] });
  for (let step = 0; step < 3; step++) {
    await client.request('next', { threadId });
    expect(await client.stopped()).toMatchObject({ reason: 'step', threadId });
    expect(basename((await client.stack(threadId))[0]!.source!.path!)).toMatch(/\.(h|cpp)$/);
    if (step === 1) await session.move(place === 'away' ? 'node1' : 'node3');
  }
  await client.setBreakpoints(SORT, [{ line: at('sorted') }]);
  await client.request('continue', { threadId });
  const end = await client.stopped();
  expect(end).toMatchObject({ reason: 'breakpoint' });
  expect(await client.evaluate('wrong', (await client.stack(end.threadId))[0]!.id)).toMatch(
    /^0$|optimized out/,
  );
  await client.request('continue', { threadId: end.threadId });
  expect(await client.event('exited')).toEqual({ exitCode: 0 });
  expect(session.output()).toBe(`sorted ${RECORDS} 1\n`);
});

async function begin() {
  const session = await labs.launch(sort, SORT, [RECORDS, THREADS], {
    // Threads that wait would else spin on a machine of two processors.
    config: { env: { OMP_WAIT_POLICY: 'passive' } },
    configure: (client) =>
      client.request('setFunctionBreakpoints', { breakpoints: [{ name: 'parallel_sort_mwms_pu' }] }),
  });
  return {
    client: session.client,
    move: (node: string) => session.move(node),
    output: () => session.output,
  };
}
