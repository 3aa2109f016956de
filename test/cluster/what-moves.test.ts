/** A real program of each kind is moved round the cluster and finds all that it has as it was, or is refused by name. */
import { mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../support/c-programs';
import { Godwit } from '../support/godwit';
import { inProject } from '../support/project';
import { goRounds, roundsOf } from '../support/rounds';

/** A name that no person's lab has. */
const LAB = `what-${process.pid}`;
const ROUND = ['node2', 'node3', 'node1'] as const;
const FAMILIES = ['processes', 'signals', 'ipc', 'descriptors', 'files', 'memory'];

let godwit: Godwit;
let folder = '';

beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'godwit-what-')));
  for (const name of FAMILIES) await compile(inProject('test', 'programs', 'kinds', `${name}.c`), folder);
  godwit = await Godwit.labUp(LAB, { temp: folder });
});
afterAll(async () => {
  await Godwit.labDown(LAB);
  rmSync(folder, { recursive: true, force: true });
});

const consoleOf = (job: string) => join('/var/lib/godwit/labs', LAB, 'node1', 'jobs', job, 'console');
const built = (name: string) => join(folder, name);

describe('programs that look around after each move', () => {
  it('find everything as it was', async () => {
    const place = join(folder, 'rounds');
    const kinds = FAMILIES.map((name) => roundsOf(built(name), place, ROUND.length));
    const outcomes = await goRounds(godwit, { kinds, nodes: ROUND, folder: place, consoleOf });
    expect(outcomes).toEqual(kinds.map(({ what }) => ({ what, problem: null })));
    // Nor has CRIU left a name of its own beside the files.
    expect(readdirSync(place).sort()).toEqual(ROUND.map((_, at) => `go-${at + 1}`));
  });
});
