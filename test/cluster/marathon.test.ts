/** Many moves in a row of a process with threads that runs under a debugger. */
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { compile } from '../support/c-programs';
import type { Gdb } from '../support/gdb';
import { Godwit } from '../support/godwit';
import { LONG } from '../support/long';
import { copiesOf } from '../support/processes';
import { inProject } from '../support/project';

/** A name that no person's lab has. */
const LAB = `marathon-${process.pid}`;
const NODES = ['node2', 'node3', 'node1'] as const;
const MOVES = LONG ? 50 : 15;
/** In the program: how many threads print. */
const THREADS = 6;
/** So that the program runs and comes by its breakpoint between two moves, at a different moment each time. */
const pauseBefore = (move: number) => 20 + ((move * 37) % 130);

let godwit: Godwit;
let gdb: Gdb | undefined;
let folder = '';
let program = '';

beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'godwit-marathon-')));
  program = await compile(inProject('test', 'fixtures', 'moves', 'threads.c'), folder);
  // The start of each command is part of the time in which the program runs between two moves.
  godwit = await Godwit.labUp(LAB, { temp: folder, byCommand: true });
});
afterAll(async () => {
  gdb?.kill();
  await Godwit.labDown(LAB);
  rmSync(folder, { recursive: true, force: true });
});

/** The numbers that each thread printed, in the order of the output. */
function linesByThread(output: string): number[][] {
  const lines: number[][] = Array.from({ length: THREADS }, () => []);
  for (const [, thread, line] of output.matchAll(/^thread (\d+) line (\d+)$/gm))
    lines[Number(thread)]!.push(Number(line));
  return lines;
}

it(`moves ${MOVES} times under gdb: no move fails, no line is lost or doubled`, async () => {
  const enough = join(folder, 'enough');
  const { id } = await godwit.run([program, enough], { stopped: true });
  gdb = await godwit.gdb(id);
  const script = join(folder, 'script.gdb');
  writeFileSync(
    script,
    `set breakpoint condition-evaluation target
set $hits = 0
break beat if thread == 1 && line % 5 == 0
commands
  silent
  set $hits = $hits + 1
  continue
end
tbreak finish
`,
  );
  await gdb.do(`source ${script}`);
  const running = gdb.start('continue');
  let host = 'node1';
  const freezes: number[] = [];
  for (let move = 0; move < MOVES; move++) {
    await sleep(pauseBefore(move));
    const to = NODES[move % NODES.length]!;
    const report = await godwit.migrate(id, to);
    expect(report).toMatchObject({ from: host, to, epoch: move + 1 });
    freezes.push(report.freezeMs);
    host = to;
    if (running.answered) throw new Error(`gdb stopped during move ${move}: ${await running.result()}`);
  }
  expect(await godwit.job(id)).toMatchObject({ node: host, migrations: MOVES, debugged: true });
  expect(copiesOf(program)).toHaveLength(1);

  writeFileSync(enough, '');
  expect(await running.result()).toMatch(/Temporary breakpoint 2, .*finish \(\)/);
  expect(Number(await gdb.print('$hits'))).toBeGreaterThan(MOVES / 5);
  expect((await gdb.do('info threads')).match(/^[* ] +\d+ +Thread /gm)).toHaveLength(THREADS + 1);
  expect(await gdb.do('backtrace')).toMatch(/#0 +.*finish[\s\S]*#1 .*main \(/);
  // Another thread that met the breakpoint meanwhile would end the step, and its commands let the program go on.
  await gdb.do('delete');
  expect(await gdb.do('next'), gdb.transcript.slice(-4000)).toMatch(/main \(.*\n\d+\t.*pthread_join/);
  expect(await gdb.do('continue')).toContain('exited with code 025');
  expect(await godwit.wait(id)).toEqual({ id, exit: 21, signal: null });

  const output = await godwit.logs(id);
  for (const [thread, lines] of linesByThread(output).entries()) {
    expect(lines.length).toBeGreaterThan(MOVES);
    expect(lines).toEqual(lines.map((_, index) => index));
    expect(output).toContain(`thread ${thread} printed ${lines.length}\n`);
  }
  const events = await godwit.history(id);
  expect(events.filter(({ event }) => event === 'move-finished')).toHaveLength(MOVES);
  expect(events.filter(({ event }) => event === 'move-aborted')).toEqual([]);
  if (process.env.GODWIT_FIGURES) {
    const sorted = freezes.sort((a, b) => a - b);
    console.log({
      median: sorted[Math.floor(MOVES / 2)],
      most: sorted.at(-1),
      hits: await gdb.print('$hits'),
    });
  }
});
