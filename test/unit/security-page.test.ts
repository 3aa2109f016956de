/** Each promise of the page on security names tests that there are. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { inProject } from '../support/project';

const PAGE = readFileSync(inProject('docs', 'security.md'), 'utf8');
/** `FOLDER/FILE` > *words of its name* */
const TEST = /`([a-z]+\/[a-z-]+)` > \*([^*]+)\*/g;
/** The rows of the tables of promises. */
const promises = PAGE.slice(PAGE.indexOf('## What is promised'), PAGE.indexOf('## What is not promised'))
  .split('\n')
  .filter((line) => /^\| (?!promise|---)/.test(line));

describe('the page on security', () => {
  it('promises something', () => {
    expect(promises.length).toBeGreaterThan(20);
  });

  it.each(promises)('%s', (row) => {
    const tests = [...row.matchAll(TEST)];
    expect(tests.length).toBeGreaterThan(0);
    for (const [, file, words] of tests) {
      const path = inProject('test', `${file}.test.ts`);
      expect(existsSync(path), path).toBe(true);
      const source = readFileSync(path, 'utf8').replaceAll("\\'", "'");
      expect(source.includes(words!), `${file}: ${words}`).toBe(true);
    }
  });
});
