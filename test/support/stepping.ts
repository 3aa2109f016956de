/** gdb on the fault lab's program (numbers.c), which comes by its breakpoint again and again. */
import { expect } from 'vitest';
import { lineOf } from './c-programs';
import type { FaultLab } from './fault-lab';
import type { Gdb } from './gdb';
import { inProject } from './project';

/** @param gdbs where it is put at once, to be ended with all others */
export async function attachedTo(
  lab: FaultLab,
  job: { id: string },
  node: string,
  gdbs: Gdb[],
): Promise<Gdb> {
  const gdb = lab.gdb(job, node);
  gdbs.push(gdb);
  await gdb.ready();
  await gdb.do('break say');
  expect(await gdb.do('continue')).toContain('say ()');
  return gdb;
}

/** Steps through a line, and goes round to the breakpoint again. */
export async function debugsOn(gdb: Gdb): Promise<void> {
  const source = inProject('test', 'fixtures', 'programs', 'numbers.c');
  for (const text of ['printf("line', 'line = now + 1;'])
    expect(await gdb.do('next')).toContain(`${lineOf(source, text)}\t`);
  expect(await gdb.do('continue')).toContain('say ()');
}

export async function letGo(gdb: Gdb): Promise<void> {
  await gdb.do('delete');
  await gdb.do('detach');
  await gdb.quit();
}
