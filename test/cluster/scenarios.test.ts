/** Programs of different natures, debugged with gdb through moves: stopped, running, in mid-`next`, watched. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFailed } from 'vitest';
import { compile } from '../support/c-programs';
import { Godwit } from '../support/godwit';
import { endAll, run } from '../support/processes';
import { Scenario } from '../support/scenario';
import { barrier, queens, sorter } from '../support/subjects';
import { silent } from '../support/teller';

/** A name that no person's lab has. */
const LAB = `t${process.pid}-scenarios`;
/** They compute for up to a minute, and for many where the processors are wanted by many. */
const SLOW_MS = 900_000;

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

  it.each([queens, sorter, barrier])('$name', { timeout: SLOW_MS }, async (subject) => {
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
    const reference = run([plain!, ...subject.args], { limitMs: SLOW_MS });
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
