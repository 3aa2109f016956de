/** Each cell of ours on the page that compares debuggers names tests that there are. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { inProject } from '../support/project';

const PAGE = readFileSync(inProject('docs', 'debugger-compared.md'), 'utf8');
/** `FOLDER/FILE` > *words of its name* */
const TEST = /`([a-z]+\/[a-z-]+)` > \*([^*]+)\*/g;
const rows = PAGE.slice(PAGE.indexOf('## Stopping'))
  .split('\n')
  .filter((line) => /^\| (?!what \||---)/.test(line));

describe('the page that compares debuggers', () => {
  it('has something to say', () => {
    expect(rows.length).toBeGreaterThan(20);
  });

  it.each(rows)('%s', (row) => {
    const cells = row.split(' | ');
    expect(cells).toHaveLength(6);
    const tests = [...cells[1]!.matchAll(TEST)];
    expect(tests.length).toBeGreaterThan(0);
    for (const [, file, words] of tests) {
      const path = inProject('test', `${file}.test.ts`);
      expect(existsSync(path), path).toBe(true);
      expect(readFileSync(path, 'utf8').includes(words!), `${file}: ${words}`).toBe(true);
    }
  });
});
