/** Programs to debug, each of another nature, and what there is to see in them. */
import { inProject } from './project';
import type { Subject } from './subject';

const source = (name: string) => inProject('test', 'programs', `${name}.c`);

/** Recursion, left by longjmp. */
export const queens: Subject = {
  name: 'queens',
  source: inProject('examples', 'queens.c'),
  args: [],
  first: {
    function: 'examine',
    at: 'struct board board = {.size = size};',
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
export const sorter: Subject = {
  name: 'sorter',
  source: source('sorter'),
  args: [],
  first: {
    function: 'sort_by',
    at: 'order *compare = orders[which].compare;',
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
export const barrier: Subject = {
  name: 'barrier',
  source: source('barrier'),
  args: ['1000'],
  first: {
    function: 'report',
    at: 'int quarter = round / (rounds / 4);',
    values: { round: '1', quarters: '0' },
    nexts: [
      'uint64_t sum = sum_of(round);',
      'unsigned high = sum >> 32;',
      'unsigned low = (unsigned)sum;',
      'if (round % 100 == 0)',
    ],
  },
  soon: { at: 'if (round % 100 == 0)', condition: 'round == 20', values: { quarter: '0' } },
  later: { at: 'if (round % 100 == 0)', condition: 'round == 400', values: { quarter: '1', round: '400' } },
  long: { at: 'uint64_t often = sum_often(', next: 'printf("often' },
  watch: { expression: 'quarters', from: '2', to: '3' },
};
