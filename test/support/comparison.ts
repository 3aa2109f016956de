/**
 * A move in which the job is looked at twice while nothing of it runs: the frozen copy at its source, and the restored
 * one at its destination, before the commit. Every field of every process must be the same in both.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { MoveReport } from '../../agent/api/model';
import { faultsFolder } from '../../agent/daemon/migration/fault-points';
import { nodePaths } from '../../agent/lab/description';
import { nodeCgroup } from '../../agent/machine/cgroup/hierarchy';
import type { Godwit } from './godwit';
import { run } from './processes';
import { inProject } from './project';

/** The copy is frozen, which is noted and not reported yet: the move is not committed. */
const POINT = 'destination.restored-noted';
const POLL_MS = 5;
const PROBE = ['/usr/bin/python3', inProject('test', 'support', 'describe.py')];

/** By process (as the job numbers them; `job` has what is all of them), then by field. */
const Looked = z.record(z.string(), z.record(z.string(), z.string()));
type Looked = z.infer<typeof Looked>;

/** Of a mask of signals the digit that has SIGVTALRM and SIGPROF, and these two bits of it. */
const [CPU_TIMERS, TIMER_BITS] = [/(?<=^.{9})[0-9a-f]/g, 0b0110];
const withoutTimers = (digit: string) => (Number.parseInt(digit, 16) & ~TIMER_BITS).toString(16);

/** What may differ, and why: a whole field, or a part of its value, which is left out or `made` comparable. */
const MAY_DIFFER: readonly { field: RegExp; part?: RegExp; made?(part: string): string; why: string }[] = [
  { field: /^FDSize$/, why: 'the size of a table that grows and never shrinks' },
  { field: /^VmLck$/, why: 'memory that was locked on fault counts when it is there' },
  { field: /: O_DIRECTORY$/, why: 'what open(2) was told to insist on; nothing comes of it afterwards' },
  {
    field: /^mapping .*: flags$/,
    part: / sd\b/g,
    why: 'whether writes are counted: looking begins it',
  },
  {
    field: /^mapping .*: flags$/,
    part: / ac\b/g,
    why: 'code counts as memory that was promised: it was writable once',
  },
  {
    field: /^(shm|sem|msg) /,
    part: /'c[ug]id': '\d+'/g,
    why: 'who made it: root restores it',
  },
  {
    field: /^mapping [^:]*$/,
    part: /\/memfd:(?=\/dev\/zero )/g,
    why: 'shared memory without a name is called otherwise',
  },
  {
    field: /^mapping [^:]*$/,
    part: /(?<=\/SYSV)[0-9a-f]{8}(?= \(deleted\))/g,
    why: 'by which key a segment was made that has been removed; that of others is told with them',
  },
  {
    field: /\b(SigPnd|ShdPnd)$/,
    part: /^0{11}[04]0000$/g,
    why: 'a SIGSTOP that waits, of the process or of its one thread: it will stop the process',
  },
  {
    field: /\bShdPnd$/,
    part: CPU_TIMERS,
    made: withoutTimers,
    why: 'what CRIU runs in a process while it dumps is CPU time of the process: a timer may ring',
  },
  { field: /: O_TMPFILE$/, why: 'the file comes back as a deleted one, which is given no name any more' },
  { field: /: more$/, part: /^eventfd-id:.*$/gm, why: 'the machine’s own number' },
];

function comparable(field: string, value: string | undefined): string | undefined {
  for (const { field: pattern, part, made = () => '' } of MAY_DIFFER) {
    if (!pattern.test(field)) continue;
    if (!part) return '';
    value = value?.replace(part, made);
  }
  return value;
}

/** One after the other in a lab: which of several moves stands at the point can't be told. */
const turns = new Map<string, Promise<unknown>>();

/** @throws Error with what differs; the job has moved nevertheless */
export function migrateCompared(godwit: Godwit, lab: string, job: string, node: string): Promise<MoveReport> {
  const turn = (turns.get(lab) ?? Promise.resolve())
    .catch(() => {})
    .then(() => movedAndCompared(godwit, lab, job, node));
  turns.set(lab, turn);
  return turn;
}

async function movedAndCompared(godwit: Godwit, lab: string, job: string, node: string): Promise<MoveReport> {
  const { node: from, home } = await godwit.job(job);
  const faults = faultsFolder(nodePaths(lab, node === 'home' ? home : node).state);
  const point = join(faults, POINT);
  mkdirSync(faults, { recursive: true });
  writeFileSync(point, '');
  let over = false;
  const moving = godwit.migrate(job, node).finally(() => {
    over = true;
  });
  // The processes that will wait for it have not begun to.
  moving.catch(() => {});
  while (!existsSync(`${point}.reached`) && !over) await sleep(POLL_MS);
  try {
    if (over) return await moving;
    const [before, after] = [
      await looked(lab, from, job),
      await looked(lab, node === 'home' ? home : node, job),
    ];
    rmSync(`${point}.reached`);
    const report = await moving;
    const found = differences(before, after);
    if (found.length > 0) throw new Error(`it is not what it was:\n${found.join('\n')}`);
    return report;
  } finally {
    for (const left of [point, `${point}.reached`]) rmSync(left, { force: true });
  }
}

async function looked(lab: string, node: string, job: string): Promise<Looked> {
  const folder = await nodeCgroup(`${lab}-${node}`);
  const copies = readdirSync(folder).filter((name) => name.startsWith(`${job}.`));
  const pids = copies.flatMap((copy) =>
    readFileSync(join(folder, copy, 'run', 'cgroup.procs'), 'utf8')
      .split('\n')
      .filter(Boolean),
  );
  if (pids.length === 0) throw new Error(`nothing of the job is at ${node}`);
  const { status, stdout, stderr } = await run([...PROBE, ...pids.sort((a, b) => Number(a) - Number(b))]);
  if (status !== 0) throw new Error(`the processes at ${node} could not be described: ${stderr}`);
  return Looked.parse(JSON.parse(stdout));
}

export function differences(before: Looked, after: Looked): string[] {
  const processes = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return processes.flatMap((process) => {
    const [was, is] = [before[process] ?? {}, after[process] ?? {}];
    return [...new Set([...Object.keys(was), ...Object.keys(is)])]
      .filter((field) => comparable(field, was[field]) !== comparable(field, is[field]))
      .map(
        (field) =>
          `process ${process}, ${field}: was ${was[field] ?? 'not there'}, is ${is[field] ?? 'not there'}`,
      );
  });
}
