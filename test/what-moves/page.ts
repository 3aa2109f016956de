/** The inventory as a page for people: `docs/what-moves.md`. */
import { writeFileSync } from 'node:fs';
import { inProject } from '../support/project';
import { INVENTORY } from './inventory';
import type { Family, Item } from './proofs';

export const PAGE = inProject('docs', 'what-moves.md');

const HEAD = `# What moves

Each piece of state that a tree of processes has, and what becomes of it in a move:

- **carried**: it is afterwards what it was;
- **made again**: Godwit makes it again in the copy that is still frozen, before the commit;
- **refused** as CODE: \`godwit why\` names it, and nothing is frozen;
- **absent**: the kernel answers a job as one that has no such thing, so there is nothing to lose;
- **documented**: it changes, as [What a program can notice](notice.md) says.

A row names the test that shows it, and the program of \`test/programs/kinds\` that has the state and reads it back after
each of three moves. This page is made of \`test/what-moves/inventory.ts\` by \`npm run docs:what-moves\`; a row without a
test fails a test.
`;

const becomes = ({ becomes }: Item) =>
  becomes.how === 'refused' ? `refused as \`${becomes.code}\`` : becomes.how;
const proof = ({ proof: { test, title, program, of }, what }: Item) => {
  const looked = program ? `, \`${program}.c\`${of && of !== what ? ` (${of})` : ''}` : '';
  return `\`${test}\` > *${title}*${looked}`;
};

/** Rows that become the same, and are shown by the same, are one. */
function lines({ items }: Family): string[] {
  const rows = new Map<string, string[]>();
  for (const item of items) {
    const rest = `${becomes(item)} | ${proof(item)}`;
    rows.set(rest, [...(rows.get(rest) ?? []), item.what]);
  }
  return [...rows].map(([rest, what]) => `| ${what.join(' · ')} | ${rest} |`);
}

export const page = (): string =>
  [
    HEAD,
    ...INVENTORY.map((family) =>
      [
        `## ${family.name}\n`,
        '| what | becomes | shown by |',
        '| --- | --- | --- |',
        ...lines(family),
        '',
      ].join('\n'),
    ),
  ].join('\n');

export const writePage = () => writeFileSync(PAGE, page());
