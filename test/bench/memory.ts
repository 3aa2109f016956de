/**
 * How long a job with much memory is frozen by a move, beside what CRIU alone takes to write the same memory to the
 * same disk in the same minute: a ratio that a busy machine leaves about as it is.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { size, span } from '../../agent/api/figures';
import { labFolder } from '../../agent/lab/description';
import { JobCgroup } from '../../agent/machine/cgroup/cgroup';
import { nodeCgroup } from '../../agent/machine/cgroup/hierarchy';
import { dumpArguments } from '../../agent/machine/criu/arguments';
import { findCriu } from '../../agent/machine/criu/criu';
import { compile } from '../support/c-programs';
import { Godwit } from '../support/godwit';
import { inProject } from '../support/project';
import { says } from '../support/rounds';
import type { BenchOptions } from './options';

const LAB = `bench-${process.pid}`;
const MIB = 2 ** 20;
/** Some gigabytes on a machine that has other work. */
const LONG_MS = 900_000;

const DEFAULT_MIB = [256, 1024, 4096];

/** Moves jobs of so much memory there and back; prints a line for each. @throws Error where its sums are wrong */
export async function benchMemory({ numbers }: BenchOptions): Promise<Record<string, number>> {
  const sizes = numbers.length > 0 ? numbers : DEFAULT_MIB;
  const figures: Record<string, number> = {};
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'godwit-bench-')));
  const program = await compile(inProject('test', 'programs', 'kinds', 'memory.c'), folder);
  const godwit = await Godwit.labUp(LAB, { nodes: 2, temp: folder });
  try {
    for (const mebibytes of sizes)
      Object.assign(figures, await bench(godwit, program, join(folder, `${mebibytes}`), mebibytes));
    return figures;
  } finally {
    await Godwit.labDown(LAB);
    rmSync(folder, { recursive: true, force: true });
  }
}

async function bench(godwit: Godwit, program: string, place: string, mebibytes: number) {
  const figures: Record<string, number> = {};
  mkdirSync(place);
  const argv = ['env', `MEGABYTES=${mebibytes}`, program, place, '2', 'heap'];
  const { id } = await godwit.run(argv);
  const console = join(labFolder(LAB), 'node1', 'jobs', id, 'console');
  await says(console, 'ready\n', LONG_MS);
  const alone = await dumpAlone(id);
  const say = (line: string) => process.stdout.write(`${line}\n`);
  say(`${mebibytes} MiB, CRIU alone, to disk: ${span(alone)}, ${rate(mebibytes, alone)}`);
  for (const [at, node] of ['node2', 'node1'].entries()) {
    const { freezeMs, bytes, phases } = await godwit.migrate(id, node, LONG_MS);
    const carried = phases.dump + phases.transfer;
    figures[`${mebibytes} MiB to ${node}, frozen, ms`] = freezeMs;
    figures[`${mebibytes} MiB to ${node}, ratio to CRIU alone`] = carried / alone;
    say(
      `${mebibytes} MiB, moved to ${node}: frozen ${span(freezeMs)}, ${size(bytes)}; dump and transfer ${span(carried)}, ` +
        `${rate(mebibytes, carried)}, ${(carried / alone).toFixed(1)} times as long as alone; restore ${span(phases.restore)}`,
    );
    writeFileSync(join(place, `go-${at + 1}`), '');
    await says(console, `round ${at + 1} ok\n`, LONG_MS);
  }
  const { exit } = await godwit.wait(id);
  if (exit !== 7) throw new Error(`it exited with ${exit}: ${readFileSync(console, 'utf8')}`);
  return figures;
}

/** Milliseconds that CRIU takes for the same job, frozen where it is. */
async function dumpAlone(id: string): Promise<number> {
  const cgroup = JobCgroup.at(join(await nodeCgroup(`${LAB}-node1`), `${id}.0`));
  const images = join(labFolder(LAB), 'alone');
  mkdirSync(images);
  const [init] = (await cgroup.pids()).sort((a, b) => a - b);
  const orders = {
    init: init!,
    images,
    run: cgroup.run,
    mounts: mountsOf(init!),
    network: null,
    stream: false,
  };
  const { path } = await findCriu();
  await cgroup.freeze(10_000);
  const begun = performance.now();
  await promisify(execFile)(path, dumpArguments(orders)).finally(() => cgroup.thaw());
  const took = performance.now() - begun;
  rmSync(images, { recursive: true });
  return took;
}

/** What the job has from outside besides what every job has. */
function mountsOf(pid: number): string[] {
  const places = readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '/');
  return places.filter((at) => at !== '/' && !/^\/(proc|sys|dev)(\/|$)/.test(at));
}

const rate = (mebibytes: number, ms: number) => `${size((mebibytes * MIB * 1000) / ms)}/s`;
