/** Frames, variables and expressions as an editor asks for them, at home and after a move: real gdb, real programs. */
import { basename, join } from 'node:path';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { adapterClient } from '../support/adapter-client';
import { compile, lineOf } from '../support/c-programs';
import type { DebugClient } from '../support/dap';
import { FaultLab } from '../support/fault-lab';
import { run } from '../support/processes';
import { inProject } from '../support/project';

const source = (name: string) => inProject('test', 'fixtures', 'programs', name);
const C = source('values.c');
const CPP = source('containers.cc');
const RUST = source('values.rs');

type Variables = Map<string, DebugProtocol.Variable>;

let lab: FaultLab;
const programs = new Map<string, string>();
const clients: DebugClient[] = [];

beforeAll(async () => {
  lab = await FaultLab.up(`t${process.pid}-values`);
  programs.set(C, await compile(C, lab.folder));
  programs.set(CPP, await compileBy(CPP, ['g++', '-std=c++17', '-g', '-O0']));
  programs.set(RUST, await compileBy(RUST, ['rustc', '-g', '-C', 'opt-level=0']));
});
afterEach(async () => {
  for (const client of clients.splice(0)) {
    await client.request('disconnect').catch(() => {});
    client.kill();
    await client.gone();
  }
});
afterAll(() => lab?.down());

async function compileBy(path: string, command: string[]): Promise<string> {
  const program = join(lab.folder, basename(path).replace('.', '-'));
  const { status, stderr } = await run([...command, '-o', program, path]);
  if (status !== 0) throw new Error(`${path} could not be compiled: ${stderr}`);
  return program;
}

/** Stands at the line with this text. */
async function standing(path: string, text: string, { moved = false, args = [] as string[] } = {}) {
  const client = adapterClient({ GODWIT_AGENT: lab.socket('node1') });
  clients.push(client);
  await client.initialize();
  const begun = client.start('launch', { program: programs.get(path), args, node: 'node1' });
  await Promise.race([client.event('initialized'), begun]);
  await client.setBreakpoints(path, [{ line: lineOf(path, text) }]);
  await client.request('configurationDone');
  await begun;
  await client.stopped();
  if (moved) await client.request('godwit.migrate', { node: 'node2' }, 60_000);
  return client;
}

const frames = (client: DebugClient, startFrame = 0, levels = 20) =>
  client.request<DebugProtocol.StackTraceResponse['body']>('stackTrace', { threadId: 1, startFrame, levels });

const byName = (variables: DebugProtocol.Variable[]): Variables =>
  new Map(variables.map((variable) => [variable.name, variable]));

async function localsOf(client: DebugClient, level = 0): Promise<Variables> {
  const { stackFrames } = await frames(client);
  return byName(await client.scope(stackFrames[level]!.id));
}

const open = async (client: DebugClient, variable: DebugProtocol.Variable | undefined) =>
  byName(await client.variables(variable!.variablesReference));

const values = (variables: Variables) =>
  Object.fromEntries([...variables].map(([name, { value }]) => [name, value]));

const frameId = async (client: DebugClient, level = 0) => (await frames(client)).stackFrames[level]!.id;

const next = async (client: DebugClient, command = 'next') => {
  await client.request(command, { threadId: 1 });
  await client.stopped();
};

describe.each([
  ['at home', false],
  ['after a move', true],
])('C, %s', (_, moved) => {
  it('frames have their arguments, and each its own variables and memory', async () => {
    const client = await standing(C, 'the innermost of three', { moved });
    const { stackFrames, totalFrames } = await frames(client);
    expect(stackFrames.map(({ name }) => name)).toEqual([
      expect.stringMatching(/^leaf\(v=14, name=0x[0-9a-f]+\)$/),
      'middle(v=7)',
      'down(depth=0)',
      expect.stringMatching(/^main\(argc=1, argv=0x[0-9a-f]+\)$/),
    ]);
    expect(totalFrames).toBe(4);
    expect(stackFrames[0]).toMatchObject({
      line: lineOf(C, 'the innermost of three'),
      source: { path: C },
      moduleId: programs.get(C),
      instructionPointerReference: expect.stringMatching(/^0x[0-9a-f]+$/),
    });

    const caller = await localsOf(client, 1);
    expect(values(caller)).toMatchObject({
      v: '7',
      table: '[4] {10, 20, 30, 40}',
      pair: '{x = 7, y = 8, bits = 2}',
    });
    expect(values(await open(client, caller.get('table')))).toEqual({
      '[0]': '10',
      '[1]': '20',
      '[2]': '30',
      '[3]': '40',
    });
    const middle = stackFrames[1]!.id;
    expect(await client.evaluate('table[2]', middle)).toBe('30');
    expect(await client.evaluate('v', stackFrames[0]!.id)).toBe('14');

    const memoryReference = caller.get('v')!.memoryReference!;
    expect(memoryReference).toMatch(/^0x[0-9a-f]+$/);
    const data = Buffer.from([99, 0, 0, 0]).toString('base64');
    await client.request('writeMemory', { memoryReference, data });
    expect((await localsOf(client, 1)).get('v')!.value).toBe('99');
    expect((await localsOf(client, 0)).get('v')!.value).toBe('14');
    // Where it says, and no further than there is memory.
    await client.request('writeMemory', { memoryReference, offset: 1, data: 'AQ==' });
    expect(await client.evaluate('v', middle)).toBe(String(99 + 256));
    const read = await client.request('readMemory', { memoryReference: '0x10', count: 4 });
    expect(read).toMatchObject({ unreadableBytes: 4 });
    await expect(client.request('readMemory', { memoryReference: '&v', count: 4 })).rejects.toThrow(
      'no address',
    );
  });

  it('names that hide others are told apart, and said by something that means them', async () => {
    const client = await standing(C, 'the innermost of three', { moved });
    const locals = await localsOf(client);
    const [outer, inner] = [lineOf(C, 'int x = v;'), lineOf(C, 'int x = 2 * v;')];
    expect(values(locals)).toMatchObject({ x: "99 'c'", [`x@${outer}`]: '14', [`x@${inner}`]: '28' });
    const id = await frameId(client);
    for (const name of ['x', `x@${outer}`, `x@${inner}`]) {
      const { evaluateName, value } = locals.get(name)!;
      expect(await client.evaluate(evaluateName!, id)).toBe(value);
    }
    const { scopes } = await client.request<DebugProtocol.ScopesResponse['body']>('scopes', { frameId: id });
    await client.request('setVariable', {
      variablesReference: scopes[0]!.variablesReference,
      name: `x@${outer}`,
      value: '5',
    });
    expect(values(await localsOf(client))).toMatchObject({
      x: "99 'c'",
      [`x@${outer}`]: '5',
      [`x@${inner}`]: '28',
    });
  });

  it('texts are texts, with their characters; formats are shown as asked', async () => {
    const client = await standing(C, 'the innermost of three', { moved });
    const id = await frameId(client);
    const statics = byName(await client.scope(id, 'Static'));
    const record = await open(client, statics.get('record'));
    expect(values(record)).toMatchObject({ size: '3', name: '"first"', on: 'true', weight: '1.5' });
    expect((await open(client, record.get('name'))).get('[1]')!.value).toBe("105 'i'");
    expect((await localsOf(client)).get('name')!.value).toMatch(/^0x[0-9a-f]+ "first"$/);
    const shown = {
      'v,x': '0xe',
      'v,b': '1110',
      'v,o': '016',
      'record.name,d': '[16] {102, 105, 114, 115, 116, 0, 0, 0, …}',
      'name,[3]': '"fir"',
    };
    for (const [expression, value] of Object.entries(shown))
      expect([expression, await client.evaluate(expression, id)]).toEqual([expression, value]);
    const middle = await frameId(client, 1);
    expect(await client.evaluate('cursor,[3]', middle)).toBe('[3] {10, 20, 30}');
    const { result } = await client.request<DebugProtocol.EvaluateResponse['body']>('evaluate', {
      expression: 'v',
      frameId: id,
      format: { hex: true },
    });
    expect(result).toBe('0xe');
    expect(await client.evaluate('record', id, 'clipboard')).toContain('at = {x = 1, y = 2, bits = 5}');
  });

  it('what is wrong is an error, in the words of gdb', async () => {
    const client = await standing(C, 'the innermost of three', { moved });
    const id = await frameId(client);
    for (const context of ['watch', 'repl', 'hover']) {
      const evaluate = (expression: string) => client.evaluate(expression, id, context);
      await expect(evaluate('nonsense')).rejects.toThrow('No symbol "nonsense" in current context.');
      await expect(evaluate('1/0')).rejects.toThrow('Division by zero');
      await expect(evaluate('*(int*)0')).rejects.toThrow('Cannot access memory at address 0x0');
    }
    await next(client);
    await expect(client.evaluate('v', id)).rejects.toThrow('earlier stop');
  });

  it('looking changes nothing', async () => {
    const client = await standing(C, 'the innermost of three', { moved });
    const id = await frameId(client);
    for (const expression of [
      'v=99',
      'v++',
      '--v',
      'v += 1',
      'v<<=1',
      '$v = 3',
      'leaf(1, name)',
      '(middle)(3)',
    ]) {
      await expect(client.evaluate(expression, id, 'hover')).rejects.toThrow(
        /would change|not allowed|may-call/,
      );
      expect(await client.evaluate('v', id, 'hover')).toBe('14');
    }
    expect(await client.evaluate('v <= 14 && v >= 14 && v == 14 && v != 15', id, 'hover')).toBe('1');
    expect(await client.evaluate('v=99', id, 'repl')).toBe('99');
    expect((await localsOf(client)).get('v')!.value).toBe('99');
  });

  it('all that has a place can be set, and nothing is stored that does not fit', async () => {
    const client = await standing(C, 'the innermost of three', { moved });
    const id = await frameId(client);
    const set = async (expression: string, value: string) => {
      const answer = await client.request<DebugProtocol.SetExpressionResponse['body']>('setExpression', {
        expression,
        value,
        frameId: id,
      });
      return answer.value;
    };
    const record = byName(await client.scope(id, 'Static')).get('record')!;
    const setMember = async (name: string, value: string) => {
      const args = { variablesReference: record.variablesReference, name, value };
      return (await client.request<DebugProtocol.SetVariableResponse['body']>('setVariable', args)).value;
    };
    expect(await setMember('name', '"longer"')).toBe('"longer"');
    expect(await setMember('name', '"ab"')).toBe('"ab"');
    expect(await client.evaluate('record.name[3]', id)).toBe("0 '\\000'");
    await expect(setMember('name', '"far too long for that"')).rejects.toThrow('room for 16 characters');
    expect(await setMember('on', 'false')).toBe('false');
    expect(await setMember('weight', '2.5')).toBe('2.5');
    await expect(setMember('size', '1.5')).rejects.toThrow('no whole number');
    await expect(setMember('size', '99999999999')).rejects.toThrow('does not fit into 32 bits');
    expect(await setMember('at', '{y = 20, bits = 6}')).toBe('{x = 1, y = 20, bits = 6}');
    expect(await setMember('row', '{9, v}')).toBe('[4] {9, 14, 3, 4}');
    await expect(setMember('row', '{1, 2, 3, 4, 5}')).rejects.toThrow('4 elements, not 5');
    await expect(setMember('at', '{x = 9, bits = 9}')).rejects.toThrow('does not fit');
    expect(await client.evaluate('record.at', id)).toBe('{x = 1, y = 20, bits = 6}');
    await expect(set('record.at.bits', '9')).rejects.toThrow('does not fit');
    expect(await set('record.at.bits', '7')).toBe('7');
    expect(await set('record.on', 'true')).toBe('true');
    expect(await set('million[999999]', '-1')).toBe('-1');
    await expect(set('3', '4')).rejects.toThrow('not an lvalue');
    expect(await set('$rbx', '0x1234')).toBe('4660');

    const registers = byName(await client.scope(id, 'Registers'));
    expect(registers.get('rbx')!.value).toBe('0x1234');
    const vectors = await open(client, registers.get('[vector]'));
    const floats = (await open(client, vectors.get('xmm0'))).get('v4_float')!;
    await client.request('setVariable', {
      variablesReference: floats.variablesReference,
      name: '[1]',
      value: '1.5',
    });
    expect(await client.evaluate('$xmm0.v4_float[1]', id)).toBe('1.5');
  });

  it('a member can be watched, and is said by an expression', async () => {
    const client = await standing(C, 'the innermost of three', { moved });
    const id = await frameId(client);
    const record = byName(await client.scope(id, 'Static')).get('record')!;
    const at = (await open(client, record)).get('at')!;
    const y = (await open(client, at)).get('y')!;
    expect(y.evaluateName).toBe('record.at.y');
    expect(await client.evaluate(y.evaluateName!, id)).toBe('2');
    const info = await client.request<DebugProtocol.DataBreakpointInfoResponse['body']>(
      'dataBreakpointInfo',
      { variablesReference: at.variablesReference, name: 'y' },
    );
    await client.request('setDataBreakpoints', {
      breakpoints: [{ dataId: info.dataId, accessType: 'write' }],
    });
    await client.request('continue', { threadId: 1 });
    expect(await client.stopped()).toMatchObject({ reason: 'data breakpoint' });
    const bits = await client.request<DebugProtocol.DataBreakpointInfoResponse['body']>(
      'dataBreakpointInfo',
      {
        name: 'record.at',
        frameId: await frameId(client),
      },
    );
    expect(bits.dataId).not.toBeNull();
  });

  it('a million elements, and two thousand members, are there a part at a time', async () => {
    const client = await standing(C, 'the innermost of three', { moved });
    const statics = byName(await client.scope(await frameId(client), 'Static'));
    const million = statics.get('million')!;
    expect(million).toMatchObject({
      indexedVariables: 1_000_000,
      value: '[1000000] {0, 3, 6, 9, 12, 15, 18, 21, …}',
    });
    const page = (start: number, count = 100) =>
      client.variables(million.variablesReference, { filter: 'indexed', start, count });
    for (const start of [0, 500_000, 999_900]) {
      const elements = await page(start);
      expect(elements).toHaveLength(100);
      expect(elements[99]).toMatchObject({
        name: `[${start + 99}]`,
        value: String(3 * (start + 99)),
        evaluateName: `million[${start + 99}]`,
      });
    }
    expect(await page(999_950)).toHaveLength(50);
    // A client that knows no pages.
    const all = await client.variables(million.variablesReference);
    expect(all).toHaveLength(1001);
    const rest = await client.variables(all[1000]!.variablesReference);
    expect(rest[0]).toMatchObject({ name: '[1000]', value: '3000' });

    const wide = await client.variables(statics.get('wide')!.variablesReference);
    expect(wide).toHaveLength(2000);
    expect([wide[0], wide[1999]]).toMatchObject([
      { name: 'a000', value: '5' },
      { name: 'b999', value: '6' },
    ]);
  });

  it('main is reached through five thousand frames, by pages', async () => {
    const client = await standing(C, 'the innermost of three', { moved, args: ['4998'] });
    const found: DebugProtocol.StackFrame[] = [];
    let total = 1;
    let requests = 0;
    while (found.length < total) {
      const { stackFrames, totalFrames } = await frames(client, found.length, total - found.length);
      found.push(...stackFrames);
      total = totalFrames!;
      requests++;
    }
    expect(found).toHaveLength(5002);
    expect(requests).toBeLessThan(20);
    expect(found.at(-1)!.name).toMatch(/^main\(argc=2, /);
    expect(await client.evaluate('argc', found.at(-1)!.id)).toBe('2');
    expect(await client.evaluate('depth', found[5000]!.id)).toBe('4998');
    expect(byName(await client.scope(found[2500]!.id)).get('depth')!.value).toBe('2498');
    // Not walked to its end for the first of them.
    await next(client);
    expect((await frames(client, 0, 20)).totalFrames).toBe(40);
  });

  it('nothing hangs while the program runs', async () => {
    const client = await standing(C, 'int got = down', { moved });
    const locals = await localsOf(client);
    const id = await frameId(client);
    await client.setBreakpoints(C, []);
    await client.evaluate('>set var million[0] = 77', id, 'repl');
    expect(await client.evaluate('million[0]', id)).toBe('77');
    await client.evaluate('stay = 1', id, 'repl');
    await client.request('continue', { threadId: 1 });
    for (const asked of [
      client.evaluate('argc', id),
      client.variables(locals.get('argv')!.variablesReference),
      client.request('scopes', { frameId: id }),
      frames(client),
    ])
      await expect(asked).rejects.toThrow('the program runs');
    await client.request('pause', { threadId: 1 });
    await client.stopped();
    const { stackFrames } = await frames(client);
    expect(stackFrames.at(-1)!.name).toMatch(/^main\(/);
    // What was read at the stop before is not taken for what is now.
    await expect(client.variables(locals.get('argv')!.variablesReference)).rejects.toThrow('earlier stop');
  });
});

describe.each([
  ['at home', false],
  ['after a move', true],
])('C++, %s', (_, moved) => {
  it('containers show what they hold', async () => {
    const client = await standing(CPP, 'all of them are there', { moved });
    const locals = await localsOf(client);
    const shown = {
      numbers: '[3] {1, 2, 3}',
      words: '[2] {"one", "two"}',
      ages: '[2] {["ann"] = 30, ["bob"] = 40}',
      chosen: expect.stringMatching(/^std::set with 2 elements = \{5, 6\}$|^\[2\] \{5, 6\}$/),
      named: '[1] {[1] = "uno"}',
      chain: expect.stringContaining('{7, 8}'),
      queue: '[2] {9, 10}',
      fixed: '[3] {11, 12, 13}',
      maybe: expect.stringContaining('15'),
      either: expect.stringContaining('"text"'),
      both: expect.stringContaining("{16, 120 'x'}"),
      text: '"hello"',
      color: 'Color::green',
      alias: '1',
    };
    expect(values(locals)).toMatchObject(shown);
    const contents: Record<string, object> = {
      numbers: { '[0]': '1', '[2]': '3' },
      words: { '[1]': '"two"' },
      ages: { '["ann"]': '30', '["bob"]': '40' },
      chosen: { '[0]': '5', '[1]': '6' },
      named: { '[1]': '"uno"' },
      chain: { '[0]': '7', '[1]': '8' },
      queue: { '[1]': '10' },
      fixed: { '[2]': '13' },
      maybe: { '[contained value]': '15' },
      either: { '[contained value]': '"text"' },
      both: { '[1]': '16' },
    };
    for (const [name, inside] of Object.entries(contents))
      expect([name, values(await open(client, locals.get(name)))]).toMatchObject([name, inside]);
    const owned = await open(client, locals.get('owned'));
    expect(values(await open(client, owned.get('get()')))).toMatchObject({ x: '1', y: '2' });
    const shared = await open(client, locals.get('shared'));
    const [behind] = (await open(client, shared.get('get()'))).values();
    expect(behind).toMatchObject({ value: '14' });
    const many = locals.get('many')!;
    expect(many).toMatchObject({ indexedVariables: 1_000_000 });
    const end = await client.variables(many.variablesReference, {
      filter: 'indexed',
      start: 999_900,
      count: 100,
    });
    expect(end[99]).toMatchObject({ name: '[999999]', value: '4' });
    expect(await client.evaluate('numbers,raw', await frameId(client))).toContain('_Vector_base');
  });

  it('a log point says what the editor shows', async () => {
    const client = await standing(CPP, 'all of them are there', { moved });
    await client.setBreakpoints(CPP, [
      {
        line: lineOf(CPP, 'got += doubled(got)'),
        logMessage: '{numbers} {text} {ages} {nonsense} {point.x}',
      },
      { line: lineOf(CPP, 'return alias +') },
    ]);
    await client.request('continue', { threadId: 1 });
    await client.stopped();
    expect(client.said('console')).toMatch(
      /^\[3\] \{1, 2, 3\} "hello" \[2\] \{\["ann"\] = 30, \["bob"\] = 40\} <No symbol "nonsense" .*> 1$/m,
    );
  });

  it('what is said of a part means that part', async () => {
    const client = await standing(CPP, 'all of them are there', { moved });
    const locals = await localsOf(client);
    const id = await frameId(client);
    const said: string[] = [];
    const look = async (variable: DebugProtocol.Variable, depth: number) => {
      for (const part of (await open(client, variable)).values()) {
        if (part.name === '[raw]') continue;
        if (part.evaluateName) {
          said.push(part.evaluateName);
          expect([part.evaluateName, await client.evaluate(part.evaluateName, id, 'hover')]).toEqual([
            part.evaluateName,
            part.value,
          ]);
        }
        if (part.variablesReference && depth > 0) await look(part, depth - 1);
      }
    };
    for (const name of ['numbers', 'ages', 'chain', 'fixed', 'point', 'base', 'owned', 'box'])
      await look(locals.get(name)!, 2);
    expect(said).toEqual(expect.arrayContaining(['point.x', 'box.inside.inside']));
    expect(said.join()).not.toMatch(/\.(public|private|protected)\b/);
    // By a pointer to its base it is what it is.
    expect(values(await open(client, locals.get('base')))).toMatchObject({ x: '1', y: '2' });
  });

  it('a container whose links make a circle does not hide the others', async () => {
    const client = await standing(CPP, 'all of them are there', { moved });
    const id = await frameId(client);
    const root = 'ages._M_t._M_impl._M_header._M_parent';
    await client.evaluate(`${root}->_M_right->_M_left = ${root}->_M_right`, id, 'repl');
    const locals = await localsOf(client);
    expect(locals.get('ages')).toMatchObject({ value: expect.stringContaining('too long') });
    expect(values(locals)).toMatchObject({ numbers: '[3] {1, 2, 3}', text: '"hello"' });
    expect(await client.evaluate('text', id)).toBe('"hello"');
  });

  it('looking calls nothing; strings and members are set', async () => {
    const client = await standing(CPP, 'all of them are there', { moved });
    const id = await frameId(client);
    await expect(client.evaluate('touch()', id, 'hover')).rejects.toThrow('may-call-functions');
    expect(await client.evaluate('touched', id, 'hover')).toBe('0');
    const before = (await localsOf(client)).get('numbers');
    expect(await client.evaluate('touch()', id, 'repl')).toBe('1');
    // The program ran for that, and stands where it stood.
    expect(values(await open(client, before))).toMatchObject({ '[2]': '3' });
    const set = async (expression: string, value: string) =>
      (
        await client.request<DebugProtocol.SetExpressionResponse['body']>('setExpression', {
          expression,
          value,
          frameId: id,
        })
      ).value;
    expect(await set('text', '"bye"')).toBe('"bye"');
    expect(await set('text', '"a text that is longer than what it has room for"')).toBe(
      '"a text that is longer than what it has room for"',
    );
    expect(await set('point.x', '41')).toBe('41');
    expect(await set('color', 'Color::red')).toBe('Color::red');
    const locals = await localsOf(client);
    const args = { variablesReference: locals.get('numbers')!.variablesReference, name: '[1]', value: '22' };
    await client.request('setVariable', args);
    expect(values(await localsOf(client))).toMatchObject({ numbers: '[3] {1, 22, 3}', alias: '41' });
    await client.setBreakpoints(CPP, [{ line: lineOf(CPP, 'int twice =') }]);
    await client.request('continue', { threadId: 1 });
    await client.stopped();
    await next(client, 'stepOut');
    expect((await localsOf(client)).get('[returned]')).toMatchObject({ value: '88', type: 'int' });
    await client.setBreakpoints(CPP, []);
    await client.request('continue', { threadId: 1 });
    await client.event('exited');
    expect(client.output).toContain('a text that is longer than what it has room for 3 1000000 22 17');
  });
});

describe.each([
  ['at home', false],
  ['after a move', true],
])('Rust, %s', (_, moved) => {
  it('shows what its own printers show', async () => {
    const client = await standing(RUST, 'all of them are there', { moved });
    const locals = await localsOf(client);
    const x = lineOf(RUST, 'let x = 8;');
    expect(values(locals)).toMatchObject({
      numbers: '[3] {1, 2, 3}',
      text: '"hello"',
      slice: '"a slice"',
      ages: '[1] {[5] = 50}',
      x: '9',
      [`x@${x}`]: '8',
    });
    expect(values(await open(client, locals.get('numbers')))).toMatchObject({ '[2]': '3' });
    const point = await open(client, locals.get('point'));
    expect(values(point)).toMatchObject({ x: '1', y: '2' });
    const id = await frameId(client);
    expect(await client.evaluate(point.get('y')!.evaluateName!, id)).toBe('2');
    expect(await client.evaluate('pair.0', id)).toBe('3');
  });
});
