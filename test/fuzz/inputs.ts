/** What should not be sent: values that are deep, huge, wrong or broken, and texts that were right before. */
import type { Contract } from '../../agent/api/contract';

/** Numbers of a seed, so that what was found is found again (mulberry32). */
export class Random {
  constructor(private state: number) {}

  below(limit: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }
}

/** Texts of JSON, as many bytes as a message may have at the most. */
export function hugeTexts(bytes: number): Record<string, string> {
  const filled = (begin: string, item: string, end: string) =>
    begin + item.repeat(Math.floor((bytes - begin.length - end.length) / item.length)) + end;
  const depth = Math.floor(bytes / 2) - 1;
  const keys = Array.from({ length: Math.floor(bytes / 14) }, (_, n) => `"k${n}":1`).join();
  return {
    'lists in lists': '['.repeat(depth) + ']'.repeat(depth),
    'lists that do not end': '['.repeat(bytes),
    'objects in objects': filled('', '{"a":', ''),
    'objects in objects, whole': `${'{"a":'.repeat(bytes / 8)}1${'}'.repeat(bytes / 8)}`,
    'a list of numbers': filled('[1', ',1', ']'),
    'a list of empty lists': filled('[[]', ',[]', ']'),
    'many keys': `{${keys.slice(0, keys.lastIndexOf(','))}}`,
    'one long key': filled('{"', 'x', '":1}'),
    'one long text': filled('"', 'x', '"'),
    'halves of pairs': filled('"', '\\ud83d', '"'),
    'the prototype': filled('{"__proto__":{"', 'x', '":1}}'),
    digits: filled('', '9', ''),
  };
}

const ODD: readonly unknown[] = [
  null,
  true,
  0,
  1,
  -1,
  2 ** 53,
  1e308,
  '',
  'a',
  'aaaaaaaaaa',
  'node1',
  'home',
  'best',
  'SIGTERM',
  '/',
  '/bin/true',
  '00000000-0000-4000-8000-000000000000',
  '\ud800',
  '\u0000',
  '__proto__',
  'x'.repeat(70_000),
  [],
  [1],
  ['x'],
  [[[[]]]],
  {},
  { __proto: 1 },
  { type: 'abort', epoch: 0 },
  { type: 'send' },
  '2026-01-01T00:00:00.000Z',
  'AAAA',
  '1.2.3.4',
];

export const oddValue = (random: Random): unknown => random.of(ODD);

/** The parameters that a method looks at. */
export function namesOf(contract: Contract, method: string): string[] {
  const { shape } = contract[method]!.params as { shape?: object };
  return Object.keys(shape ?? {});
}

/** A request that is right as far as its outside goes. */
export function oddRequest(
  random: Random,
  contract: Contract,
  methods: readonly string[],
  id: number,
): string {
  const method = random.of(methods);
  const params = Object.fromEntries(namesOf(contract, method).map((name) => [name, oddValue(random)]));
  return JSON.stringify({ jsonrpc: '2.0', id, method, params });
}

/** Some characters of a text changed, taken out, or doubled. */
export function mutated(random: Random, text: string): string {
  let changed = text;
  for (let n = 0; n <= random.below(4); n++) {
    const at = random.below(changed.length + 1);
    const [before, after] = [changed.slice(0, at), changed.slice(at)];
    const kind = random.below(4);
    if (kind === 0) changed = before + String.fromCharCode(random.below(0x3000)) + after.slice(1);
    else if (kind === 1) changed = before + after.slice(random.below(20));
    else if (kind === 2) changed = before + before.slice(-random.below(30)) + after;
    else
      changed =
        before + random.of(['{', '[', '"', '}', ']', ',', '\\u0000', '\ud800', '1e9', 'null']) + after;
  }
  return changed;
}
