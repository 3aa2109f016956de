/**
 * What a debugger's steps cost beside those of the same gdb with gdbserver on a Unix socket, and of cdt-gdb-adapter, in
 * turns in one run: ratios that a busy machine leaves about as they are.
 */
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile } from '../../support/c-programs';
import { Godwit } from '../../support/godwit';
import { endAll } from '../../support/processes';
import { inProject } from '../../support/project';
import type { BenchOptions } from '../options';
import { type Row, shown } from './figures';
import { ROWS, type Stage } from './rows';

const LAB = `bench-${process.pid}`;
const DEFAULT_COUNT = 200;
/** Breakpoints that are never hit. */
const NEVER = 100;

/** @param only names of rows; all of them if there is none */
export async function benchDebugger({ numbers, words: only }: BenchOptions): Promise<Record<string, number>> {
  const [count = DEFAULT_COUNT] = numbers;
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'godwit-bench-')));
  const rows: Row[] = [];
  try {
    const godwit = await Godwit.labUp(LAB, { nodes: 2, temp: folder });
    const stage: Stage = { count, folder, godwit, lab: LAB, ...(await program(folder)) };
    for (const [name, measure] of Object.entries(ROWS)) {
      if (only.length > 0 && !only.includes(name)) continue;
      for (const row of await measure(stage)) {
        rows.push(row);
        process.stdout.write(`${JSON.stringify(shown(row))}\n`);
      }
      endAll();
      // A job outlives its debugger: it would compute beside the next row.
      for (const { id, state } of await godwit.jobs()) if (state !== 'ended') await godwit.kill(id);
    }
    console.table(rows.map(shown));
    return Object.assign({}, ...rows.map(flatOf));
  } finally {
    endAll();
    await Godwit.labDown(LAB);
    rmSync(folder, { recursive: true, force: true });
  }
}

const flatOf = ({ what, godwit, reference }: Row): Record<string, number> => ({
  [`${what}, ms`]: godwit,
  ...(reference === null ? {} : { [`${what}, ratio`]: godwit / reference }),
});

/** With as many lines more as there are to be breakpoints. */
async function program(folder: string): Promise<Pick<Stage, 'program' | 'source' | 'never'>> {
  const source = join(folder, 'stepped.c');
  const text = readFileSync(inProject('test', 'programs', 'stepped.c'), 'utf8');
  const head = `${text}\nvoid never(int n);\nvoid never(int n) {\n`;
  writeFileSync(source, `${head}${'  counter += n;\n'.repeat(NEVER)}}\n`);
  const first = head.split('\n').length;
  const never = Array.from({ length: NEVER }, (_, nth) => first + nth);
  return { program: await compile(source, folder), source, never };
}
