/**
 * How long a job of five processes is frozen by a move while nothing else runs, and while four hogs a core do, which are
 * no jobs: in turns, so that both are of the same minutes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { span } from '../../agent/api/figures';
import type { MoveReport } from '../../agent/api/model';
import { labFolder } from '../../agent/lab/description';
import { compile } from '../support/c-programs';
import { Godwit } from '../support/godwit';
import { inProject } from '../support/project';
import { says } from '../support/rounds';
import { median } from './debugger/figures';

const LAB = `bench-${process.pid}`;
const HOGS_A_CORE = 4;
const TURNS = 5;
const NODES = ['node2', 'node1'];
/** A move on a machine that has eight hogs takes seconds. */
const LONG_MS = 300_000;

/** Prints the medians of both and their ratio, with the phases of which they are made. */
export async function benchBusy(): Promise<Record<string, number>> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'godwit-bench-')));
  const program = await compile(inProject('test', 'bench', 'ranks.c'), folder);
  const godwit = await Godwit.labUp(LAB, { nodes: 2, temp: folder });
  try {
    const { id } = await godwit.run([program]);
    await says(join(labFolder(LAB), 'node1', 'jobs', id, 'console'), 'ready\n', LONG_MS);
    await thereAndBack(godwit, id);
    const quiet: MoveReport[] = [];
    const busy: MoveReport[] = [];
    for (let turn = 0; turn < TURNS; turn++) {
      quiet.push(...(await thereAndBack(godwit, id)));
      busy.push(...(await besideHogs(() => thereAndBack(godwit, id))));
    }
    print('quiet', quiet);
    print('busy', busy);
    const [alone, beside] = [frozen(quiet), frozen(busy)];
    process.stdout.write(`busy / quiet: ${(beside / alone).toFixed(2)}\n`);
    return { 'quiet, ms': alone, 'busy, ms': beside, ratio: beside / alone };
  } finally {
    await Godwit.labDown(LAB);
    rmSync(folder, { recursive: true, force: true });
  }
}

async function thereAndBack(godwit: Godwit, id: string): Promise<MoveReport[]> {
  const reports = [];
  for (const node of NODES) reports.push(await godwit.migrate(id, node, LONG_MS));
  return reports;
}

async function besideHogs<T>(what: () => Promise<T>): Promise<T> {
  const hogs = Array.from({ length: HOGS_A_CORE * availableParallelism() }, hog);
  try {
    return await what();
  } finally {
    await Promise.all(hogs.map(end));
  }
}

/** In a session of its own, as another person's work would be: with autogroups a session has the share of one task. */
const hog = () => spawn('sh', ['-c', 'while :; do :; done'], { detached: true, stdio: 'ignore' });

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

const frozen = (reports: readonly MoveReport[]) => median(reports.map(({ freezeMs }) => freezeMs));

function print(what: string, reports: readonly MoveReport[]): void {
  const phases = Object.keys(reports[0]!.phases).map((phase) => {
    const took = median(reports.map((report) => report.phases[phase as keyof MoveReport['phases']] ?? 0));
    return `${phase} ${span(took)}`;
  });
  process.stdout.write(`${what}: frozen ${span(frozen(reports))}; ${phases.join(', ')}\n`);
}
