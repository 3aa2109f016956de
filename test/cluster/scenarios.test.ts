/** Programs of different natures, debugged with gdb through moves: stopped, running, in mid-`next`, watched. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFailed } from 'vitest';
import { compile } from '../support/c-programs';
import { Godwit } from '../support/godwit';
import { endAll, run } from '../support/processes';
import { inProject } from '../support/project';
import { Scenario } from '../support/scenario';
import type { Subject } from '../support/subject';
import { silent } from '../support/teller';

/** A name that no person's lab has. */
const LAB = `t${process.pid}-scenarios`;

const source = (name: string) => inProject('test', 'programs', `${name}.c`);

/** Recursion, left by longjmp. */
const queens: Subject = {
  name: 'queens',
  source: source('queens'),
  args: [],
  first: {
    function: 'examine',
    values: { size: '4', round: '0', hardest: '0' },
    nexts: [
      'int found = solve(&board);',
      'long tried = board.tried;',
      'int harder = tried > hardest;',
      'if (round == 0 && found) show(&board);',
    ],
  },
  soon: {
    at: 'int harder = tried > hardest;',
    condition: 'size == 6',
    values: { found: '1', tried: '171', 'board.column[5]': '4' },
  },
  later: {
    at: 'int harder = tried > hardest;',
    condition: 'round == 30000',
    values: { size: '8', tried: '876', hardest: '876' },
  },
  long: { at: 'long ways = count(&board, 0);', next: 'printf("%d queens: %ld ways\\n"' },
  watch: { expression: 'records', from: '3', to: '4' },
};

/** Functions called through pointers, a timer's signals in between. */
const sorter: Subject = {
  name: 'sorter',
  source: source('sorter'),
  args: [],
  first: {
    function: 'sort_by',
    values: { which: '1', round: '1' },
    nexts: [
      'fill();',
      'qsort(words, WORDS, sizeof *words, compare);',
      'uint32_t sum = digest();',
      'int first = words[0].text[0];',
    ],
  },
  soon: { at: 'if (round % 200 == 0)', condition: 'round == 30', values: { which: '0', round: '30' } },
  later: { at: 'if (round % 200 == 0)', condition: 'round == 590', values: { which: '2', round: '590' } },
  long: { at: 'uint32_t many = sort_many(', next: 'printf("many' },
  watch: { expression: 'milestones', from: '0', to: '1' },
};

/** Sixteen threads that wait for each other. */
const barrier: Subject = {
  name: 'barrier',
  source: source('barrier'),
  args: [],
  first: {
    function: 'report',
    values: { round: '1', quarters: '0' },
    nexts: [
      'uint64_t sum = sum_of(round);',
      'unsigned high = sum >> 32;',
      'unsigned low = (unsigned)sum;',
      'if (round % 100 == 0)',
    ],
  },
  soon: { at: 'if (round % 100 == 0)', condition: 'round == 20', values: { quarter: '0' } },
  later: { at: 'if (round % 100 == 0)', condition: 'round == 700', values: { quarter: '1', round: '700' } },
  long: { at: 'uint64_t often = sum_often(', next: 'printf("often' },
  watch: { expression: 'quarters', from: '2', to: '3' },
};

/** The end of what a gdb said, without the registers. */
const lastLines = (transcript: string) =>
  transcript
    .split('\n')
    .filter((line) => !/^[a-z]+\d* {3,}/.test(line))
    .slice(-40)
    .join('\n');

describe('a program under gdb that moves', () => {
  let folder = '';
  let godwit: Godwit;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'godwit-scenarios-'));
    godwit = await Godwit.labUp(LAB, { temp: folder });
  });
  afterAll(async () => {
    endAll();
    await Godwit.labDown(LAB);
    rmSync(folder, { recursive: true, force: true });
  });

  it.each([queens, sorter, barrier])('$name', { timeout: 300_000 }, async (subject) => {
    const [program, plain] = await Promise.all(
      [subject.name, `plain-${subject.name}`].map((name) => compile(subject.source, folder, name)),
    );
    const scenario = new Scenario({
      godwit,
      subject,
      program: program!,
      nodes: ['node1', 'node2', 'node3'],
      tell: silent,
    });
    onTestFailed(() => console.error(scenario.transcripts.map(lastLines).join('\n---\n')));
    const reference = run([plain!, ...subject.args], { limitMs: 200_000 });
    try {
      await scenario.stopOnFirstNode();
      await scenario.moveWhileStopped();
      await scenario.moveWhileRunning();
      await scenario.moveDuringNext();
      await scenario.watchAcrossMove();
      await scenario.runToEnd((await reference).stdout);
      await scenario.checkHistory();
    } finally {
      await scenario.close();
    }
    expect((await reference).status).toBe(0);
    expect(scenario.moves).toHaveLength(4);
  });
});
