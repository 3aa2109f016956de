import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { nodeCgroup } from '../../agent/machine/cgroup/hierarchy';
import { godwitOf } from '../support/as-user';
import { compile } from '../support/c-programs';
import { Godwit, type Refused } from '../support/godwit';
import { inProject } from '../support/project';
import { goRounds, roundsOf, says } from '../support/rounds';

const ALL_MS = 400_000;
/** A name that no person's lab has. */
const LAB = `waits-${process.pid}`;
const STATE = join('/var/lib/godwit/labs', LAB);
const ROUND = ['node2', 'node3', 'node1'] as const;
const FAMILIES = ['terminals', 'fifos', 'events', 'messages'];
/** An account that Debian has; its jobs are restored without root's rights. */
const USER = 'games';

let godwit: Godwit;
let asUser: Godwit;
let folder = '';
const jobs: string[] = [];

beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'godwit-waits-')));
  for (const name of FAMILIES) await compile(inProject('test', 'programs', 'kinds', `${name}.c`), folder);
  godwit = await Godwit.labUp(LAB, { temp: folder, users: [USER] });
  asUser = godwitOf(USER, LAB, folder);
});
afterEach(async () => {
  for (const job of jobs.splice(0)) await godwit.kill(job, 'SIGKILL').catch(() => {});
});
afterAll(async () => {
  await Godwit.labDown(LAB);
  rmSync(folder, { recursive: true, force: true });
});

const built = (name: string) => join(folder, name);
const consoleOf = (job: string) => join(STATE, 'node1', 'jobs', job, 'console');

/** A job that has printed `ready`. */
async function launched(argv: string[]): Promise<string> {
  const { id } = await godwit.run(argv);
  jobs.push(id);
  await says(consoleOf(id), 'ready');
  return id;
}

describe('programs with something on its way find it after each move', () => {
  it.each([
    ['root', () => godwit],
    ['a user', () => asUser],
  ])(
    'as %s',
    async (who, asked) => {
      const place = built(`rounds-of-${who.replaceAll(' ', '-')}`);
      mkdirSync(place);
      chmodSync(place, 0o1777);
      const kinds = FAMILIES.map((name) => roundsOf(built(name), place, ROUND.length));
      const outcomes = await goRounds(asked(), { kinds, nodes: ROUND, folder: place, consoleOf });
      expect(outcomes).toEqual(kinds.map(({ what }) => ({ what, problem: null })));
    },
    ALL_MS,
  );
});

it.each(['source.parked', 'source.dumped'])(
  'a move that is given up at %s: what was taken from its terminals is there again',
  async (point) => {
    const place = built(point);
    mkdirSync(place);
    const id = await launched([built('terminals'), place, '1']);
    const armed = join(STATE, 'node1', 'faults', point);
    mkdirSync(join(STATE, 'node1', 'faults'), { recursive: true });
    writeFileSync(armed, '');
    const moved = godwit.migrate(id, 'node2').then(
      () => 'moved',
      () => 'not moved',
    );
    while (!existsSync(`${armed}.reached`)) await sleep(20);
    const [agent] = readFileSync(join(STATE, 'node1', 'agent.pid'), 'utf8').split(' ');
    process.kill(Number(agent), 'SIGKILL');
    rmSync(`${armed}.reached`);
    expect(await moved).toBe('not moved');
    writeFileSync(join(place, 'go-1'), '');
    await says(consoleOf(id), 'round 1 ok');
    expect(await godwit.wait(id, 60_000)).toMatchObject({ exit: 7 });
    expect((await godwit.job(id)).node).toBe('node1');
  },
  ALL_MS,
);

describe('what does not move is refused by name', () => {
  const message = (kind: string) => () => [built('messages'), folder, '1', kind];
  const refusals: [what: string, code: string, argv: () => string[]][] = [
    ['a message that tells who sent it', 'queued-message', message('-credentials')],
    ['a datagram whose sender has a name', 'queued-message', message('-sender')],
    ['an empty datagram', 'queued-message', message('-empty')],
    [
      'a program that has no execute permission any more',
      'program-not-executable',
      () => {
        const program = built('locked');
        copyFileSync('/bin/bash', program);
        chmodSync(program, 0o755);
        return [program, '-c', `chmod 644 ${program}; echo ready; while :; do sleep 1000; done`];
      },
    ],
    [
      'a terminal with a number far beyond the lowest that is free',
      'terminal-number',
      () => [
        'python3',
        '-c',
        'import os, time\nall = [os.openpty() for _ in range(40)]\nfor pair in all[:-1]: os.close(pair[0]), os.close(pair[1])\nprint("ready", flush=True)\ntime.sleep(1000)',
      ],
    ],
  ];
  it.each(refusals)('%s', async (_what, code, argv) => {
    const id = await launched(argv());
    const { can, obstacles } = await godwit.why(id, 'node2');
    expect({ can, codes: [...new Set(obstacles.map((obstacle) => obstacle.code))] }).toEqual({
      can: false,
      codes: [code],
    });
    await expect(godwit.migrate(id, 'node2')).rejects.toThrow(obstacles[0]!.what);
  });

  it('a second message, which is seen only once it stands still', async () => {
    const id = await launched(message('-second')());
    expect(await godwit.why(id, 'node2')).toMatchObject({ can: true });
    const refused = (await godwit.migrate(id, 'node2').catch((error) => error)) as Refused;
    expect(refused.line).toContain('has not read a datagram whose sender could not be answered any more');
    expect((await godwit.job(id)).state).toBe('running');
  });

  it('sixty terminals in a row move', async () => {
    const id = await launched([
      'python3',
      '-c',
      'import os, time\nall = [os.openpty() for _ in range(60)]\nprint("ready", flush=True)\ntime.sleep(1000)',
    ]);
    expect(await godwit.why(id, 'node2')).toMatchObject({ can: true, obstacles: [] });
    await godwit.migrate(id, 'node2');
    await godwit.migrate(id, 'node1');
  });
});

it('a program that was built anew while it runs is called by another name', async () => {
  const program = built('rebuilt');
  copyFileSync('/bin/bash', program);
  chmodSync(program, 0o755);
  const id = await launched([program, '-c', 'echo ready; while :; do sleep 1000; done']);
  copyFileSync('/bin/true', `${program}.new`);
  renameSync(`${program}.new`, program);
  const names = [];
  for (const [at, node] of ROUND.entries()) {
    await godwit.migrate(id, node);
    const cgroup = join(await nodeCgroup(`${LAB}-${node}`), `${id}.${at + 1}`, 'run', 'cgroup.procs');
    const pids = readFileSync(cgroup, 'utf8').trim().split('\n');
    const exes = pids.map((pid) => readlinkSync(`/proc/${pid}/exe`));
    names.push(exes.find((name) => name.startsWith(program)));
  }
  expect(names).toEqual(ROUND.map(() => `${program}.cr_link (deleted)`));
  // The new one is left as it is.
  expect(readFileSync(program).equals(readFileSync('/bin/true'))).toBe(true);
});

it('away from home file events tell of what its own node changes, not of what home does', async () => {
  const [log, go] = [built('log'), built('log-go')];
  writeFileSync(log, '');
  const watch = [
    'import ctypes, os, subprocess, sys',
    'libc = ctypes.CDLL(None)',
    'events = libc.inotify_init1(0)',
    'libc.inotify_add_watch(events, sys.argv[1].encode(), 2)',
    'own = "while [ ! -e $1 ]; do sleep 0.1; done; echo own >> $0"',
    'subprocess.Popen(["sh", "-c", own, *sys.argv[1:]])',
    'print("ready", flush=True)',
    'while os.read(events, 4096): print(open(sys.argv[1]).read(), flush=True)',
  ];
  const id = await launched(['python3', '-c', watch.join('\n'), log, go]);
  await godwit.migrate(id, 'node2');
  appendFileSync(log, 'from home\n');
  await godwit.migrate(id, 'node3');
  expect(readFileSync(consoleOf(id), 'utf8')).toBe('ready\n');
  writeFileSync(go, '');
  await says(consoleOf(id), 'from home\nown\n');
});
