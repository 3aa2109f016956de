/** The programs of test/programs/kinds: moved together, and after each move asked whether all is as it was. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { migrateCompared } from './comparison';
import type { Godwit } from './godwit';

/** A machine whose processors are wanted by others too may take this long for what takes a moment. */
const SOON_MS = 60_000;
/** Each move has its own CRIU on either side: more at a time take no less time together. */
const AT_A_TIME = 2;

export interface Kind {
  /** How it is called in the tests. */
  what: string;
  argv: string[];
  /** What it exits with. */
  exit: number;
  /** Its whole output at the end. */
  prints: string;
  /** How much of the CPUs it may use, where it computes all the time. */
  cpus?: number;
  /** How it says that it can be moved. */
  ready: string;
  /** How it says that it has found all in order in a round; absent where only its end tells. */
  answers?: (round: number) => string;
}

/** A program of `test/programs/kinds`, which is given the folder and the number of rounds. */
export const roundsOf = (program: string, folder: string, rounds: number, things: string[] = []): Kind => ({
  what: [program.split('/').at(-1), ...things].join(' '),
  argv: [program, folder, `${rounds}`, ...things],
  exit: 7,
  prints: `ready\n${Array.from({ length: rounds }, (_, at) => `round ${at + 1} ok\n`).join('')}done\n`,
  ready: 'ready\n',
  answers: (round) => `round ${round} ok\n`,
});

/** What went wrong with a kind; the others went on. */
export type Outcome = { what: string; problem: string | null };

export interface Round {
  kinds: Kind[];
  nodes: readonly string[];
  /** Given to the programs; the words to go on are written there. */
  folder: string;
  /** Where a job's console is kept: looking there costs nothing. */
  consoleOf: (job: string) => string;
  /** With it each process is looked at before and after each move, and must be what it was. */
  lab?: string;
}

/** Launches all, moves them from node to node, lets them look after each move, and awaits their ends. */
export async function goRounds(
  godwit: Godwit,
  { kinds, nodes, folder, consoleOf, lab }: Round,
): Promise<Outcome[]> {
  mkdirSync(folder, { recursive: true });
  const problems = new Map<Kind, string>();
  const jobs = new Map<Kind, string>();
  /** One that has failed is left out of what follows. */
  const each = async (step: string, work: (kind: Kind) => Promise<void>) => {
    const queue = kinds.filter((kind) => !problems.has(kind));
    const worker = async () => {
      for (let kind = queue.shift(); kind; kind = queue.shift())
        await work(kind).catch((error: Error) => void problems.set(kind!, `${step}: ${error.message}`));
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  };
  await each('its launch', async (kind) => {
    jobs.set(kind, (await godwit.run(kind.argv, kind.cpus ? { cpus: kind.cpus } : {})).id);
  });
  await each('its beginning', (kind) => says(consoleOf(jobs.get(kind)!), kind.ready));
  for (const [at, node] of nodes.entries()) {
    await each(`its move to ${node}`, async (kind) => {
      if (lab) await migrateCompared(godwit, lab, jobs.get(kind)!, node);
      else await godwit.migrate(jobs.get(kind)!, node);
    });
    writeFileSync(join(folder, `go-${at + 1}`), '');
    await each(`its look around on ${node}`, async (kind) => {
      if (kind.answers) await says(consoleOf(jobs.get(kind)!), kind.answers(at + 1));
    });
  }
  await each('its end', async (kind) => {
    const id = jobs.get(kind)!;
    const { exit } = await godwit.wait(id, 2 * SOON_MS);
    const printed = await godwit.logs(id);
    if (printed !== kind.prints) throw new Error(`it printed ${JSON.stringify(printed)}`);
    if (exit !== kind.exit) throw new Error(`it exited with ${exit}`);
  });
  for (const id of jobs.values()) await godwit.kill(id).catch(() => {});
  return kinds.map((kind) => ({ what: kind.what, problem: problems.get(kind) ?? null }));
}

/** Until there is `text` in the console. @throws Error with what there is instead */
export async function says(path: string, text: string, limitMs = SOON_MS): Promise<void> {
  for (const end = Date.now() + limitMs; ; await sleep(20)) {
    const printed = readFileSync(path, 'utf8');
    if (printed.includes(text)) return;
    if (printed.includes('not so: ') || Date.now() > end)
      throw new Error(`it has printed ${JSON.stringify(printed.slice(-1000))}`);
  }
}
