/** What people type where values are, and what is asked of gdb for it. */
import { describe, expect, it } from 'vitest';
import { Python } from '../../adapter/gdb/python';
import { assigns, calls, parseWanted, parseWatch } from '../../adapter/values/expression';
import { asFrame, asVariable, totalOf } from '../../adapter/values/shown';

describe('a format behind an expression', () => {
  it.each([
    ['a', { expression: 'a' }],
    [' a ,x', { expression: 'a', letter: 'x' }],
    ['a,b', { expression: 'a', letter: 't' }],
    ['p, [3]', { expression: 'p', elements: '3' }],
    ['p,[n + 1],x', { expression: 'p', elements: 'n + 1', letter: 'x' }],
    ['v,raw', { expression: 'v', raw: true }],
    ['f(a, x)', { expression: 'f(a, x)' }],
    ['m[1,2]', { expression: 'm[1,2]' }],
    ['"a,x"', { expression: '"a,x"' }],
    ["',',x", { expression: "','", letter: 'x' }],
    ['a, other', { expression: 'a, other' }],
    [',x', { expression: ',x' }],
    ['std::map<int, int>::x', { expression: 'std::map<int, int>::x' }],
    ["'file.c'::name,x", { expression: "'file.c'::name", letter: 'x' }],
    ['', { expression: '' }],
  ])('%s', (text, watch) => expect(parseWatch(text)).toEqual(watch));
});

describe('what changes something', () => {
  it.each(['a=1', 'a = b == c', 'a++', '--a', 'a+=1', 'a <<= 1', 'a >>= 1', '$x=1', 'a[b=1]', 'x := 1'])(
    '%s',
    (text) => expect(assigns(text)).toBe(true),
  );
  it.each(['a==1', 'a<=b', 'a>=b', 'a!=b', 'a<b', '"a=b"', "'='", 'a <=> b', 'a - -b', 'a->b', 'x.y'])(
    'not %s',
    (text) => expect(assigns(text)).toBe(false),
  );
  it('calls', () => {
    for (const text of ['f()', 'a.b(1)', '(*p)(1)', 't<int>(1)', 'v[0](2)']) expect(calls(text)).toBe(true);
    for (const text of ['(a)', 'a + (b)', 'sizeof(a)', '"f()"', '*(int *)p']) expect(calls(text)).toBe(false);
  });
});

describe('what a value is to become', () => {
  it.each([
    ['1 + 2', { text: '1 + 2' }],
    ['"{1, 2}"', { text: '"{1, 2}"' }],
    ['{}', { items: [] }],
    ['{1, f(2, 3), }', { items: [{ value: { text: '1' } }, { value: { text: 'f(2, 3)' } }] }],
    [
      '{x = 1, .y = {2}}',
      {
        items: [
          { name: 'x', value: { text: '1' } },
          { name: 'y', value: { items: [{ value: { text: '2' } }] } },
        ],
      },
    ],
    ['{a == 1, N::b}', { items: [{ value: { text: 'a == 1' } }, { value: { text: 'N::b' } }] }],
    ['{"a,b", \',\'}', { items: [{ value: { text: '"a,b"' } }, { value: { text: "','" } }] }],
  ])('%s', (text, wanted) => expect(parseWanted(text)).toEqual(wanted));

  it('however deep it is', () => {
    expect(() => parseWanted('{'.repeat(50_000) + '}'.repeat(50_000))).not.toThrow();
    expect(() => parseWanted('{'.repeat(50_000))).not.toThrow();
  });
});

describe('a question', () => {
  const asked = async (answer: string, expression = 'x') => {
    const commands: string[] = [];
    const gdb = {
      giveUp: () => {},
      sendCommand: async (command: string) => {
        commands.push(command);
        return { answer } as never;
      },
    };
    const told = await new Python(gdb).ask('evaluate', { expression }).catch((error: Error) => error);
    return { told, command: commands[0]! };
  };

  it('is one line of ASCII, whatever is asked', async () => {
    const expression = 'a "b\\"\n-exec-run\u00fc\u{1F600}\u0000';
    const { command } = await asked('{"name": "x", "value": "1"}', expression);
    expect(command).toMatch(/^[\x20-\x7e]+$/);
    const sent = JSON.parse(JSON.parse(command.slice('-godwit evaluate '.length)));
    expect(sent).toEqual({ stop: 1, ask: 1, expression });
  });

  it('has an answer of the form that was agreed, or none', async () => {
    expect((await asked('{"name": "x", "value": "1", "memory": "0x10"}')).told).toMatchObject({ value: '1' });
    for (const bad of ['', '[]', '{"name": "x"}', '{"name": "x", "value": "1", "memory": "&x"}'])
      expect((await asked(bad)).told).toBeInstanceOf(Error);
  });
});

describe('in the words of DAP', () => {
  it('a client is told of more frames while there may be some, and how many when that is known', () => {
    expect(totalOf({ frames: [], known: 21, whole: false }, 20)).toBe(40);
    expect(totalOf({ frames: [], known: 21, whole: true }, 20)).toBe(21);
    expect(totalOf({ frames: [], known: 5000, whole: false }, 20)).toBe(5000);
  });

  it('sources that are not there step back', () => {
    const frame = { level: 0, name: 'f()', pc: '0x1', path: '/a/b.c', line: 3 };
    expect(asFrame({ ...frame, there: false }, 7).source).toMatchObject({ presentationHint: 'deemphasize' });
    expect(asFrame({ ...frame, there: true }, 7).source).toEqual({ name: 'b.c', path: '/a/b.c' });
    expect(asFrame({ level: 0, name: '??', pc: '0x1' }, 7)).toMatchObject({
      presentationHint: 'subtle',
      line: 0,
    });
  });

  it('what could not be read is said to be that', () => {
    const failed = asVariable({ name: 'a', value: '<no>', failed: true });
    expect(failed).toMatchObject({
      presentationHint: { attributes: ['failedEvaluation'] },
      variablesReference: 0,
    });
  });
});
