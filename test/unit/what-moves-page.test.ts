/** The page on what moves is what the inventory gives, and each row of that is proved by a test that there is. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { inProject } from '../support/project';
import { INVENTORY } from '../what-moves/inventory';
import { PAGE, page } from '../what-moves/page';
import type { Proof } from '../what-moves/proofs';
import { DOCUMENTED } from '../zdtm/documented';

const OBSTACLES = readFileSync(inProject('docs', 'obstacles.md'), 'utf8');
const KINDS = ['process-state', 'mappings', 'flags', 'clocks', 'ipcs', 'options'];
const source = (program: string) =>
  readFileSync(inProject('test', 'programs', 'kinds', `${program}.c`), 'utf8');

/** Rows that come out wrong are kept apart, and prove nothing; those that begin anew are one row together. */
const withoutLost = (text: string) => text.replace(/\b(lost|anew)\[\] = \{[\s\S]*?\n\};/g, '');
const items = INVENTORY.flatMap(({ items }) => items);

function proves({ test, title, program, of }: Proof): void {
  const path = inProject('test', `${test}.test.ts`);
  expect(existsSync(path), path).toBe(true);
  const text = readFileSync(path, 'utf8').replaceAll("\\'", "'");
  expect(text.includes(title), `${test}: ${title}`).toBe(true);
  if (!program) return;
  expect(text.includes(`'${program}'`), `${test} runs ${program}`).toBe(true);
  const code = withoutLost(source(program));
  const looksAt = of && [`{"${of}",`, `differs("${of}",`].some((words) => code.includes(words));
  expect(looksAt, `${program} looks at ${of}`).toBe(true);
}

describe('the page on what moves', () => {
  it('is what the inventory gives', () => {
    expect(readFileSync(PAGE, 'utf8')).toBe(page());
  });

  it.each(INVENTORY)('$name: each row is proved', ({ items }) => {
    expect(items.length).toBeGreaterThan(0);
    for (const { proof } of items) proves(proof);
  });

  it('says nothing twice', () => {
    const said = items.map(({ what, proof }) => `${what} (${proof.program ?? proof.test})`);
    expect(said.filter((one, at) => said.indexOf(one) !== at)).toEqual([]);
  });

  it('refuses by codes that the page on obstacles explains', () => {
    const codes = items.flatMap(({ becomes }) => (becomes.how === 'refused' ? [becomes.code] : []));
    expect(codes.filter((code) => !OBSTACLES.includes(`\`${code}\``))).toEqual([]);
  });

  it("is not needed where another page says what CRIU's own tests find changed", () => {
    const page = readFileSync(inProject('docs', 'notice.md'), 'utf8').replace(/\s+/g, ' ');
    const notices = Object.values(DOCUMENTED).map(({ notice }) => notice);
    expect(notices.filter((words) => !page.includes(words))).toEqual([]);
  });

  it.each(KINDS)('has every row that %s looks at', (program) => {
    const named = new Set(items.filter(({ proof }) => proof.program === program).map(({ what }) => what));
    const looked = withoutLost(source(program)).matchAll(
      /^ +\{"([^"-][^"]*)", (?!make_|look_at_)|differs\("([^"]+)"/gm,
    );
    const rows = [...looked].map(([, row, structure]) => row ?? structure!);
    expect(rows.length).toBeGreaterThan(5);
    expect(rows.filter((row) => !named.has(row))).toEqual([]);
  });
});
