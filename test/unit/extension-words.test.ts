import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commandLine } from '../../agent/api/figures';
import { splitWords, Unbalanced } from '../../extension/launch/words';

describe('arguments as they are typed', () => {
  it.each([
    ['', []],
    ['   ', []],
    ['a b  c', ['a', 'b', 'c']],
    ['\ta\n', ['a']],
    ["'a b' c", ['a b', 'c']],
    ['"a b" c', ['a b', 'c']],
    ["a'b c'd", ['ab cd']],
    ["''", ['']],
    ['"" x', ['', 'x']],
    ['a\\ b', ['a b']],
    ["'\\'", ['\\']],
    ['"\\"\\\\\\n"', ['"\\\\n']],
    ['--name="two words"', ['--name=two words']],
    ['$HOME * ~ `x` ; |', ['$HOME', '*', '~', '`x`', ';', '|']],
  ])('%j', (text, words) => {
    expect(splitWords(text)).toEqual(words);
  });

  it.each([
    ["a 'b", /single quote/],
    ['a "b', /double quote/],
    ['"\\"', /double quote/],
    ['a\\', /backslash/],
  ])('%j is not whole', (text, why) => {
    expect(() => splitWords(text)).toThrow(Unbalanced);
    expect(() => splitWords(text)).toThrow(why);
  });

  it('come back as they were', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string()),
        (words) => void expect(splitWords(commandLine(words))).toEqual(words),
      ),
    );
  });
});
