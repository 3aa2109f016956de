import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type ClientContract, clientContract } from '../../agent/api/client-contract';
import type { Remote } from '../../agent/api/contract';
import { killAgent } from '../../agent/lab/lab';
import { nodeCgroup } from '../../agent/machine/cgroup/hierarchy';
import { connectUnix } from '../../agent/wire/client';
import { godwitOf } from '../support/as-user';
import { compile } from '../support/c-programs';
import { Godwit } from '../support/godwit';
import { LONG } from '../support/long';
import { end, launch } from '../support/processes';
import { inProject } from '../support/project';
import { goRounds, type Kind, roundsOf, says } from '../support/rounds';
import { untilWithin } from '../support/until';

/** Nineteen programs, three moves each, one at a time where they are looked at: long where the processors are wanted by many. */
const ALL_MS = 900_000;
/** A name that no person's lab has. */
const LAB = `what-${process.pid}`;
const ROUND = ['node2', 'node3', 'node1'] as const;
const FAMILIES = [
  ...['processes', 'signals', 'ipc', 'descriptors', 'files', 'memory', 'attributes', 'locks'],
  ...['process-state', 'mappings', 'flags', 'clocks', 'ipcs', 'options', 'absent', 'sharing'],
];
/** What a user may not set, and what only newer kernels have. */
const SPECIAL: [program: string, things: string[]][] = [
  ['process-state', ['-rights', '-odd']],
  ['mappings', ['-guard', '-droppable']],
  ['ipcs', ['-namespaces']],
];
const ANEW: [program: string, things: string[]][] = [
  ['clocks', ['-anew']],
  ['ipcs', ['-anew']],
  ['flags', ['-anew']],
  ['options', ['-anew', '-peers']],
];

/** An account that Debian has; its jobs are restored without root's rights. */
const USER = 'games';

let godwit: Godwit;
let asUser: Godwit;
let agent: Remote<ClientContract> & { close: () => void };
let folder = '';
const jobs: string[] = [];

beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'godwit-what-')));
  for (const name of FAMILIES) await compile(inProject('test', 'programs', 'kinds', `${name}.c`), folder);
  godwit = await Godwit.labUp(LAB, { temp: folder, users: [USER] });
  asUser = godwitOf(USER, LAB, folder);
  const socket = join('/var/lib/godwit/labs', LAB, 'node1', 'agent.sock');
  agent = await connectUnix(socket, { name: 'test', kind: 'client', contract: clientContract });
});
afterEach(async () => {
  for (const job of jobs.splice(0)) await agent.call('jobs.kill', { job, signal: 'SIGKILL' }).catch(() => {});
});
afterAll(async () => {
  agent?.close();
  await Godwit.labDown(LAB);
  rmSync(folder, { recursive: true, force: true });
});

const consoleOf = (job: string) => join('/var/lib/godwit/labs', LAB, 'node1', 'jobs', job, 'console');
/** A job that has printed `ready`. */
async function launched(
  [program, ...args]: string[],
  more: { allowIoUring?: boolean } = {},
): Promise<string> {
  const env = process.env as Record<string, string>;
  const request = { program: program!, args, cwd: folder, env, node: 'home', stopped: false, ...more };
  const { id } = await agent.call('jobs.run', request);
  jobs.push(id);
  await says(consoleOf(id), 'ready');
  return id;
}
const until = untilWithin(30_000);
const tracerOf = (pid: number) =>
  Number(/^TracerPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
const built = (name: string) => join(folder, name);
/** Threads of one of them never leave the CPU: what they count shows whether registers were lost. */
const family = (name: string, place: string): Kind => ({
  ...roundsOf(built(name), place, ROUND.length),
  ...(name === 'memory' ? { cpus: 0.2 } : {}),
});

/** `make -j4`, moved while it compiles: the program that it builds knows whether a part is missing. */
function building(place: string): Kind {
  const project = join(folder, 'project');
  const parts = Array.from({ length: 24 }, (_, at) => `part${at}`);
  mkdirSync(project);
  for (const [at, part] of parts.entries())
    writeFileSync(join(project, `${part}.c`), `int ${part}(void) { return ${at}; }\n`);
  const sum = parts.map((part) => `${part}()`).join(' + ');
  const declared = parts.map((part) => `int ${part}(void);`).join('\n');
  writeFileSync(
    join(project, 'main.c'),
    `#include <stdio.h>\n${declared}\nint main(void) { printf("%d\\n", ${sum}); return 6; }\n`,
  );
  const objects = ['main', ...parts].map((name) => `${name}.o`).join(' ');
  const rules = [`sum: ${objects}`, '\tcc -o $@ $^', '%.o: %.c', '\tsleep 0.3', '\tcc -O1 -c -o $@ $<'];
  writeFileSync(join(project, 'Makefile'), `${rules.join('\n')}\n`);
  const script = 'echo ready; make -s -j4 -C "$0" && while [ ! -e "$1" ]; do sleep 0.5; done && "$0/sum"';
  return {
    what: 'make -j4',
    argv: ['sh', '-c', script, project, join(place, `go-${ROUND.length}`)],
    exit: 6,
    prints: `ready\n${(24 * 23) / 2}\n`,
    ready: 'ready\n',
  };
}

/** A shell with job control that has traps for what a move might send, and a pipeline in the background. */
function shell(place: string): Kind {
  const script = [
    // Of a job that stands stopped it is told anew after each move, and says so.
    'exec 2>/dev/null; set -m',
    'trap "echo CONT" CONT; trap "echo INT" INT; trap "echo TSTP" TSTP',
    'sleep 1000 | cat &',
    'sleep 1000 & kill -STOP $!',
    'echo ready',
    'while [ ! -e "$0" ]; do sleep 0.5; done',
    'jobs -r | wc -l; jobs -s | wc -l',
    'kill -CONT %2; kill %1 %2; exit 5',
  ];
  return {
    what: 'bash with job control',
    argv: ['bash', '-c', script.join('\n'), join(place, `go-${ROUND.length}`)],
    exit: 5,
    prints: 'ready\n1\n1\n',
    ready: 'ready\n',
  };
}

describe('programs that look around after each move', () => {
  it(
    'find everything as it was',
    async () => {
      const place = join(folder, 'rounds');
      const families = FAMILIES.map((name) => family(name, place));
      const realTime = roundsOf(built('attributes'), place, ROUND.length, ['-real-time', 'of-threads']);
      const kinds = [...families, realTime, building(place), shell(place)];
      const outcomes = await goRounds(godwit, { kinds, nodes: ROUND, folder: place, consoleOf, lab: LAB });
      expect(outcomes).toEqual(kinds.map(({ what }) => ({ what, problem: null })));
      // Nor has CRIU left a name of its own beside the files.
      expect(readdirSync(place).sort()).toEqual(ROUND.map((_, at) => `go-${at + 1}`));
    },
    ALL_MS,
  );

  it.each([
    ['find what is for root alone, or for newer kernels, as it was', SPECIAL],
    ['find what begins anew as documented', ANEW],
  ])(
    '%s',
    async (what, programs) => {
      const place = join(folder, what.split(' ').slice(0, 3).join('-'));
      const kinds = programs.flatMap(([name, things]) =>
        things.map((thing) => roundsOf(built(name), place, ROUND.length, [thing])),
      );
      const outcomes = await goRounds(godwit, { kinds, nodes: ROUND, folder: place, consoleOf });
      expect(outcomes).toEqual(kinds.map(({ what }) => ({ what, problem: null })));
    },
    ALL_MS,
  );

  it(
    'find it also as a user, for whom CRIU has no more rights than they',
    async () => {
      const place = join(folder, 'users');
      mkdirSync(place);
      chmodSync(place, 0o1777);
      const kinds = FAMILIES.map((name) => family(name, place));
      // The programs look around themselves each time.
      const looked = LONG ? { lab: LAB } : {};
      const outcomes = await goRounds(asUser, { kinds, nodes: ROUND, folder: place, consoleOf, ...looked });
      expect(outcomes).toEqual(kinds.map(({ what }) => ({ what, problem: null })));
      expect(readdirSync(place).sort()).toEqual(ROUND.map((_, at) => `go-${at + 1}`));
    },
    ALL_MS,
  );
});

it(
  'half a gigabyte of memory moves, every word of it',
  async () => {
    const place = join(folder, 'large');
    const kind = roundsOf(built('memory'), place, 1, ['heap']);
    const kinds = [{ ...kind, argv: ['env', 'MEGABYTES=512', ...kind.argv] }];
    const outcomes = await goRounds(godwit, { kinds, nodes: ['node2'], folder: place, consoleOf });
    expect(outcomes).toEqual([{ what: kind.what, problem: null }]);
  },
  ALL_MS,
);

it('what a move would lose is not there either where io_uring was allowed', async () => {
  await launched([built('absent'), folder, '1'], { allowIoUring: true });
});

describe('what does not move is refused by name, before anything is frozen', () => {
  const kinds = (program: string, thing: string) => () => [built(program), folder, '1', thing];
  const python = (lines: string) => () => [
    'python3',
    '-c',
    `${lines}\nimport time\nprint("ready", flush=True)\ntime.sleep(1000)`,
  ];
  const socket = (lines: string) => python(`import socket\ns = ${lines}`);
  const refusals: [what: string, code: string, argv: () => string[], more?: { allowIoUring?: boolean }][] = [
    ['io_uring, where it was allowed', 'io-uring', kinds('descriptors', '-io_uring'), { allowIoUring: true }],
    ['a semaphore eventfd', 'eventfd-semaphore', kinds('descriptors', '-semaphore')],
    ['a performance counter', 'perf-event', kinds('descriptors', '-perf')],
    ['a userfaultfd', 'userfaultfd', kinds('descriptors', '-userfaultfd')],
    ['a BPF map', 'bpf', kinds('descriptors', '-bpf')],
    ['a pipe of packets', 'packet-pipe', kinds('flags', '-packets')],
    ['secret memory', 'secret-memory', kinds('descriptors', '-secret')],
    ['a POSIX message queue', 'message-queue', kinds('ipc', '-mqueue')],
    ['semaphore operations to be undone', 'semaphore-undo', kinds('ipc', '-undo')],
    [
      'threads beside System V semaphores',
      'semaphore-undo',
      python(
        [
          'import ctypes, threading',
          'ctypes.CDLL(None).semget(1, 1, 0o1600)',
          'threading.Thread(target=threading.Event().wait, daemon=True).start()',
        ].join('\n'),
      ),
    ],
    ['a process that shares its memory', 'shared-process', kinds('sharing', '-memory')],
    ['one that shares its working folder', 'shared-process', kinds('sharing', '-places')],
    ['one that shares its signal handlers', 'shared-process', kinds('sharing', '-handlers')],
    ['orphans that share their descriptors', 'shared-process', kinds('sharing', '-orphans')],
    ['a thread with a working folder of its own', 'shared-process', kinds('sharing', '-thread-places')],
    ['a thread with descriptors of its own', 'shared-process', kinds('sharing', '-thread-descriptors')],
    ['a thread in a namespace of its own', 'shared-process', kinds('sharing', '-thread-namespace')],
    ['a thread with a namespace for its children', 'shared-process', kinds('sharing', '-thread-children')],
    ['a deadline to be scheduled by', 'scheduling-policy', kinds('attributes', '-deadline')],
    ['a file that lost its name but has another', 'deleted-file', kinds('files', '-other-name')],
    ['a large deleted file', 'deleted-file', kinds('files', '-huge')],
    ['a device', 'device-open', python('f = open("/dev/fuse", "rb+", buffering=0)')],
    [
      'a device that is mapped, and open no more',
      'device-open',
      python(
        [
          'import mmap, os',
          'disk = os.open("/dev/" + min(os.listdir("/sys/class/block")), os.O_RDONLY)',
          'page = mmap.mmap(disk, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ)',
          '# Its own copy of the descriptor, too.',
          'os.closerange(disk, 100)',
        ].join('\n'),
      ),
    ],
    [
      'a socket of an odd kind',
      'network-socket',
      socket('socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)'),
    ],
    [
      'a Unix socket to a process outside',
      'external-socket',
      socket(`socket.socket(socket.AF_UNIX)\ns.connect("/var/lib/godwit/labs/${LAB}/node1/agent.sock")`),
    ],
    [
      'a tracer inside the job',
      'traced',
      () => ['sh', '-c', 'gdb -q -batch -ex run --args sh -c "echo ready; sleep 1000" 2>&1'],
    ],
    ...['pid', 'net', 'uts', 'ipc', 'user', 'cgroup', 'time'].map(
      (name): [string, string, () => string[]] => [
        `a ${name} namespace of its own`,
        'nested-namespace',
        () => ['unshare', '--fork', `--${name}`, 'sh', '-c', 'echo ready; exec sleep 1000'],
      ],
    ),
  ];

  it.each(refusals)('%s', async (_what, code, argv, more) => {
    const id = await launched(argv(), more ?? {});
    const { can, obstacles } = await agent.call('jobs.why', { job: id, node: 'node2' });
    expect({ can, codes: [...new Set(obstacles.map((obstacle) => obstacle.code))] }).toEqual({
      can: false,
      codes: [code],
    });
    for (const { what, fix } of obstacles)
      expect(`${what}; ${fix}`).toMatch(/^process \d+ \([\w-]+\) .+; .+/);
    const moved = agent.call('jobs.migrate', { job: id, node: 'node2', transfer: 'auto' });
    await expect(moved).rejects.toMatchObject({ code, fix: obstacles[0]!.fix });
    // Not even an intent was written.
    const { events } = await agent.call('jobs.history', { job: id });
    expect(events.map(({ event }) => event)).toEqual(['launched']);
  });

  it('a tracer outside the job; once it has gone, the job moves', async () => {
    const id = await launched(['sh', '-c', 'echo ready; exec sleep 1000']);
    const [pid] = readFileSync(
      join(await nodeCgroup(`${LAB}-node1`), `${id}.0`, 'run', 'cgroup.procs'),
      'utf8',
    )
      .split('\n')
      .map(Number)
      .slice(1);
    const tracer = launch(['gdb', '-q', '-nx', '-p', `${pid}`]);
    await until('it is traced', () => tracerOf(pid!) !== 0);
    const why = () => agent.call('jobs.why', { job: id, node: 'node2' });
    expect((await why()).obstacles).toMatchObject([
      { code: 'traced', what: expect.stringMatching(/outside the job/) },
    ]);
    end(tracer);
    await until('it is let go', () => tracerOf(pid!) === 0);
    expect(await why()).toMatchObject({ can: true, obstacles: [] });
  });

  it('a node that is away', async () => {
    const id = await launched(['sh', '-c', 'echo ready; exec sleep 1000']);
    await killAgent(LAB, 'node3');
    const { obstacles } = await agent.call('jobs.why', { job: id, node: 'node3' });
    expect(obstacles).toMatchObject([{ code: 'node-unreachable' }]);
  });
});
