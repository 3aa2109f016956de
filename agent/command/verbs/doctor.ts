import type { Command } from 'commander';
import { type Check, checks } from '../doctor';
import { checksFailed } from '../errors';
import { type Column, table } from '../text';
import { addJsonOption, perform } from '../verb';

const COLUMNS: Column<Check>[] = [
  { title: 'CHECK', cell: ({ check }) => check },
  { title: 'OK', cell: ({ ok }) => (ok ? 'yes' : 'NO') },
  { title: 'FOUND', cell: ({ found }) => found },
  { title: 'FIX', cell: ({ fix }) => fix ?? '' },
];

export const addDoctor = (program: Command) =>
  addJsonOption(program.command('doctor'))
    .summary('whether this machine has all that an agent needs')
    .description('Checks this machine for all that an agent needs, and how to get what is missing.')
    .action(
      perform(async (invocation) => {
        const found = await checks();
        // A fix that is cut off at the terminal's edge is none.
        await invocation.answer(found, table(COLUMNS, found, 0));
        const failed = found.filter(({ ok }) => !ok).map(({ check }) => check);
        if (failed.length > 0) throw checksFailed(failed, found.length);
      }),
    );
