/** The words in which the inventory is written: what becomes of a piece of state in a move, and what proves it. */

/** A test, by its file (without `test/` and `.test.ts`) and words of its title; with a program, what of it is looked at. */
export interface Proof {
  test: string;
  title: string;
  /** Of `test/programs/kinds`, and the name of the row or thing in it. */
  program?: string;
  of?: string;
}

export type Becomes =
  | { how: 'carried' | 'made again' | 'documented' | 'absent' }
  /** `why` names it, by this code, before anything is frozen. */
  | { how: 'refused'; code: string };

export interface Item {
  what: string;
  becomes: Becomes;
  proof: Proof;
}

export interface Family {
  name: string;
  items: Item[];
}

const CARRIED: Becomes = { how: 'carried' };
const DOCUMENTED: Becomes = { how: 'documented' };

/** The three tests that move the programs of `test/programs/kinds`. */
const ROUNDS = 'find everything as it was';
const SPECIAL = 'find what is for root alone, or for newer kernels, as it was';
const ANEW = 'find what begins anew as documented';
const WHAT_MOVES = 'cluster/what-moves';

/** Rows of a program, each called what the kernel calls it. */
export const rows = (program: string, names: string[]): Item[] =>
  names.map((what) => ({
    what,
    becomes: CARRIED,
    proof: { test: WHAT_MOVES, title: ROUNDS, program, of: what },
  }));
/** The same, of what CRIU leaves out. */
export const rowsAgain = (program: string, names: string[]): Item[] =>
  rows(program, names).map((item) => ({ ...item, becomes: { how: 'made again' } }));
export const special = (program: string, names: string[]): Item[] =>
  names.map((what) => ({
    what,
    becomes: CARRIED,
    proof: { test: WHAT_MOVES, title: SPECIAL, program, of: what },
  }));
/** What a thing of a program looks at, in words. */
export const thing = (program: string, of: string, what: string): Item => ({
  what,
  becomes: CARRIED,
  proof: { test: WHAT_MOVES, title: ROUNDS, program, of },
});
export const anew = (program: string, of: string, what: string): Item => ({
  what,
  becomes: DOCUMENTED,
  proof: { test: WHAT_MOVES, title: ANEW, program, of },
});
export const refused = (code: string, title: string, what: string, test = WHAT_MOVES): Item => ({
  what,
  becomes: { how: 'refused', code },
  proof: { test, title },
});
export const carried = (test: string, title: string, what: string): Item => ({
  what,
  becomes: CARRIED,
  proof: { test, title },
});
export const madeAgain = (test: string, title: string, what: string): Item => ({
  what,
  becomes: { how: 'made again' },
  proof: { test, title },
});
export const documented = (test: string, title: string, what: string): Item => ({
  what,
  becomes: DOCUMENTED,
  proof: { test, title },
});
/** A kernel's answer where it has no such thing, in every job: what would be lost can't be asked for. */
export const absent = (...names: string[]): Item => ({
  what: names.join(' · '),
  becomes: { how: 'absent' },
  proof: { test: WHAT_MOVES, title: ROUNDS, program: 'absent', of: 'calls' },
});
