/** All obstacles are in one list; docs/obstacles.md explains each, and whatever names one by its code names one of these. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cannotMove, GodwitError } from '../../agent/api/errors';
import {
  codeOf,
  concernOf,
  ERRORS,
  OBSTACLE_CODES,
  OBSTACLES,
  obstacle,
} from '../../agent/daemon/preflight/obstacles';
import { fromWireError, toWireError } from '../../agent/wire/envelope';
import { inProject } from '../support/project';
import { INVENTORY } from '../what-moves/inventory';

const PAGE = readFileSync(inProject('docs', 'obstacles.md'), 'utf8');
const ROOM = inProject('agent', 'daemon', 'preflight');

describe('the list of obstacles', () => {
  it.each(OBSTACLE_CODES)('%s is explained on the page', (code) => {
    expect(PAGE.includes(`\`${code}\``)).toBe(true);
  });

  it('has every code of the table on the page', () => {
    const table = PAGE.slice(PAGE.indexOf('| what | code |'));
    const rows = table.split('\n').filter((line) => /^ *\| .* \| `[a-z-]+`/.test(line));
    expect(rows.length).toBeGreaterThan(20);
    const codes = rows.flatMap((row) => [...row.slice(row.lastIndexOf(' | ')).matchAll(/`([a-z-]+)`/g)]);
    expect(codes.map(([, code]) => code).filter((code) => !OBSTACLE_CODES.includes(code!))).toEqual([]);
  });

  it('has every code by which a row of the inventory is refused', () => {
    const items = INVENTORY.flatMap((family) => family.items);
    const codes = items.flatMap(({ becomes }) => (becomes.how === 'refused' ? [becomes.code] : []));
    expect(codes.length).toBeGreaterThan(20);
    expect(codes.filter((code) => !OBSTACLE_CODES.includes(code))).toEqual([]);
  });

  it.each(Object.entries(OBSTACLES))(
    '%s says in a line what is in the way, and what to do',
    (name, entry) => {
      const named = new Set(`${entry.what} ${entry.fix}`.match(/\{\w+\}/g));
      const values = Object.fromEntries([...named].map((one) => [one.slice(1, -1), 'X']));
      const { code, what, fix } = obstacle(name as never, values as never);
      expect(code).toBe(codeOf(name));
      for (const text of [what, fix]) expect(text).toMatch(/^[^{}\n]+[^{}\n.]$/);
    },
  );

  it('fills in what others have chosen as it is, braces too', () => {
    const { what } = obstacle('device-open', {
      process: 'process 2 (a)',
      has: 'has open',
      file: '/dev/{has}',
    });
    expect(what).toBe('process 2 (a) has open the device /dev/{has}');
  });

  it('says of each code whom it is about, and takes others to be about the job', () => {
    for (const [name, { concerns }] of Object.entries(OBSTACLES))
      expect(concernOf(codeOf(name))).toBe(concerns);
    for (const [code, concerns] of Object.entries(ERRORS)) expect(concernOf(code)).toBe(concerns);
    expect(concernOf('whatever-it-is')).toBe('job');
  });

  it('has the only sentences of its room', () => {
    const others = readdirSync(ROOM).filter((name) => name !== 'obstacles.ts');
    expect(others.length).toBeGreaterThan(10);
    const wording = (name: string) => /\b(what|fix): ['"`]/.test(readFileSync(join(ROOM, name), 'utf8'));
    expect(others.filter((name) => name !== 'why.ts' && wording(name))).toEqual([]);
  });
});

it('a move that is refused tells all that stands in its way, over the wire too', () => {
  const first = obstacle('pinned', { job: 'abcdefghij', node: 'node1' });
  const all = [first, obstacle('thread-ended', { process: 'process 2 (a)' })];
  const refused = fromWireError(toWireError(cannotMove('abcdefghij', 'node2', all)));
  expect(refused.toFailure()).toEqual({
    code: 'pinned',
    message: "job abcdefghij can't move to node2: it is pinned to node1",
    fix: '`godwit unpin abcdefghij` first',
    obstacles: all,
  });
  expect(fromWireError(toWireError(new GodwitError({ code: 'other', message: 'other' }))).obstacles).toBe(
    undefined,
  );
});
