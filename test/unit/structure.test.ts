/** How the project is built: which room may import from which, no circle, no file too long, no room without a line. */
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  callsAmong,
  circleOf,
  type Import,
  importsOf,
  includesOf,
  projectFiles,
  textOf,
} from '../support/sources';

const BASE = ['agent/api', 'agent/log.ts'];
const WIRED = [...BASE, 'agent/wire'];

/**
 * Each room, from the top down, and what it may import from besides itself: rooms, single files where only those are
 * open to others, or with `/*` the files right in a folder. A room's own rooms are listed apart. To draw a new arrow, add it here and say why in the change; one
 * that points up makes a circle of rooms, which is refused below.
 */
const MAY_IMPORT: Record<string, string[]> = {
  extension: ['agent/api', 'agent/client', 'webviews'],
  adapter: ['adapter/session'],
  'adapter/session': [
    'agent/api',
    'agent/client',
    ...['configuration', 'job', 'values', 'stops', 'breakpoints', 'gdb', 'errors.ts'].map(
      (room) => `adapter/${room}`,
    ),
  ],
  'adapter/job': ['agent/api', 'agent/client'],
  'adapter/configuration': ['agent/api', 'adapter/errors.ts'],
  'adapter/values': ['adapter/gdb'],
  'adapter/stops': ['agent/api', 'adapter/gdb'],
  'adapter/breakpoints': ['adapter/gdb'],
  'adapter/gdb': ['adapter/errors.ts'],
  'adapter/errors.ts': ['agent/api'],
  webviews: ['agent/api'],
  'agent/command': [
    'agent/api',
    'agent/client',
    'agent/lab',
    'agent/live',
    'agent/joining',
    'agent/debug/link',
    'agent/machine',
    'package.json',
  ],
  'agent/client': ['agent/api', 'agent/wire', 'agent/lab/description.ts', 'agent/debug/link'],
  'agent/lab': ['agent/api', 'agent/wire', 'agent/joining', 'agent/machine'],
  'agent/live': ['agent/api', 'agent/joining/*', 'agent/machine'],
  'agent/joining/by-ssh': ['agent/api', 'agent/joining/*'],
  'agent/joining': [...WIRED, 'agent/keeper/watch.ts', 'agent/machine'],

  'agent/daemon': [
    ...WIRED,
    'agent/daemon',
    ...['contract.ts', 'link.ts', 'watch.ts'].map((file) => `agent/keeper/${file}`),
    'agent/machine',
  ],
  'agent/daemon/requests': [
    ...WIRED,
    ...['allocations', 'balance', 'cluster', 'homefs', 'jobs', 'journal', 'migration', 'preflight'].map(
      (room) => `agent/daemon/${room}`,
    ),
    ...['agent/keeper/contract.ts', 'agent/keeper/watch.ts'],
    'agent/machine',
  ],
  'agent/daemon/migration': [
    ...WIRED,
    ...['cluster', 'jobs', 'journal', 'preflight'].map((room) => `agent/daemon/${room}`),
    ...['agent/keeper/contract.ts', 'agent/keeper/supervision.ts'],
    // The shape of a parked stub, which travels with the job.
    'agent/debug/state/parked.ts',
    'agent/machine',
  ],
  'agent/daemon/jobs': [
    ...WIRED,
    ...['allocations', 'cluster', 'homefs', 'journal'].map((room) => `agent/daemon/${room}`),
    ...['agent/keeper/contract.ts', 'agent/keeper/supervision.ts'],
    'agent/machine',
  ],
  'agent/daemon/homefs': [
    ...WIRED,
    'agent/daemon/cluster',
    'agent/daemon/journal',
    'agent/keeper/contract.ts',
    'agent/machine',
  ],
  'agent/daemon/preflight': [
    'agent/api',
    'agent/daemon/allocations',
    'agent/daemon/cluster',
    'agent/daemon/journal',
    'agent/machine',
  ],
  'agent/daemon/journal': ['agent/api'],
  'agent/daemon/allocations': ['agent/api'],
  'agent/daemon/cluster': [
    ...WIRED,
    // What is known of nodes, in the words of those who decide by it.
    'agent/daemon/balance/known.ts',
    'agent/daemon/membership',
    ...['certificates', 'network', '*'].map((room) => `agent/machine/${room}`),
  ],
  'agent/daemon/membership': ['agent/api'],
  'agent/daemon/balance': [],

  'agent/keeper': [
    ...WIRED,
    ...['attach', 'stacks', 'state', 'stub'].map((room) => `agent/debug/${room}`),
    ...['cgroup', 'daemons', 'proc', '*'].map((room) => `agent/machine/${room}`),
  ],

  'agent/debug/stub': [
    'agent/api',
    ...['attach', 'state', 'link', 'rsp'].map((room) => `agent/debug/${room}`),
    // A process id and two cgroup folders are all that it is told of a job.
    'agent/machine/*',
  ],
  'agent/debug/stacks': ['agent/api', 'agent/debug/attach'],
  'agent/debug/attach': [
    'agent/api',
    'agent/debug/state',
    'agent/debug/rsp',
    'agent/machine/proc',
    'agent/machine/*',
  ],
  'agent/debug/state': ['agent/api', 'agent/debug/link', 'agent/debug/rsp'],
  'agent/debug/link': ['agent/api', 'agent/debug/rsp'],
  'agent/debug/rsp': ['agent/api'],

  'agent/machine/criu': [
    'agent/api',
    ...['cgroup', 'proc'].map((room) => `agent/machine/${room}`),
    'agent/machine/*',
  ],
  'agent/machine/cgroup': ['agent/api', 'agent/machine/proc', 'agent/machine/*'],
  'agent/machine/network': ['agent/api', 'agent/machine/homefs', 'agent/machine/*'],
  'agent/machine/homefs': ['agent/api', 'agent/wire', 'agent/machine/proc', 'agent/machine/*'],
  'agent/machine/certificates': ['agent/machine/*'],
  'agent/machine/daemons': ['agent/api', 'agent/machine/proc'],
  'agent/machine/proc': ['agent/api', 'agent/machine/*'],
  'agent/machine': ['agent/api'],

  'agent/wire': ['agent/api', 'package.json'],
  'agent/api': ['agent/log.ts'],
  agent: [],
};

/** Lines of a file, beyond which it has more than one idea in it. */
const MOST_LINES = 400;
/** Files that are longer, and how long they may be: it goes down, never up, and a file that is short again goes. */
const LONGER: Record<string, number> = {
  'webviews/timeline/timeline.css': 580,
  'agent/native/homefs/wire.c': 440,
};

const sources = projectFiles.filter((path) =>
  /^(agent|adapter|extension|webviews)\/.*\.(ts|c|h|css|py)$/.test(path),
);
const isIn = (path: string, room: string) => path === room || path.startsWith(`${room}/`);
const isOf = (path: string, place: string) =>
  place.endsWith('/*') ? dirname(path) === place.slice(0, -2) : isIn(path, place);
/** The innermost room of the table. */
const roomOf = (path: string) =>
  Object.keys(MAY_IMPORT)
    .filter((room) => isIn(path, room))
    .sort((one, other) => other.length - one.length)[0];
const imports: Import[] = sources.filter((path) => path.endsWith('.ts')).flatMap(importsOf);
const arrow = ({ from, to }: Import) => `${from} -> ${to}`;

describe('imports', () => {
  it('are looked at', () => {
    expect(imports.length).toBeGreaterThan(500);
  });

  it.each(Object.entries(MAY_IMPORT))('of %s are those that it may have', (room, allowed) => {
    const out = imports.filter(({ from, to }) => roomOf(from) === room && roomOf(to) !== room);
    expect(out.filter(({ to }) => !allowed.some((place) => isOf(to, place))).map(arrow)).toEqual([]);
  });

  it('are all in a room of the table', () => {
    expect(sources.filter((path) => path.endsWith('.ts') && !roomOf(path))).toEqual([]);
  });

  it('are all of use in the table', () => {
    const unused = Object.entries(MAY_IMPORT).flatMap(([room, allowed]) =>
      allowed
        .filter((place) => !imports.some(({ from, to }) => roomOf(from) === room && isOf(to, place)))
        .map((place) => `${room} -> ${place}`),
    );
    expect(unused).toEqual([]);
  });

  it('make no circle of files', () => {
    expect(circleOf(imports)).toBeUndefined();
  });

  it('make no circle of rooms', () => {
    const between = imports.map(({ from, to }) => ({ from: roomOf(from)!, to: roomOf(to) ?? to }));
    expect(circleOf(between.filter(({ from, to }) => from !== to))).toBeUndefined();
  });

  it('of vscode are the extension’s alone', () => {
    const who = sources.filter((path) => path.endsWith('.ts') && /from 'vscode'/.test(textOf(path)));
    expect(who.filter((path) => !isIn(path, 'extension'))).toEqual([]);
  });
});

describe('includes of the C', () => {
  const includes = sources.filter((path) => /\.[ch]$/.test(path)).flatMap(includesOf);

  it('are looked at', () => {
    expect(includes.length).toBeGreaterThan(100);
  });

  it('are of headers: of the file’s own folder, or of the one that is common to all', () => {
    const allowed = ({ from, to }: Import) =>
      to.endsWith('.h') && [dirname(from), 'agent/native/common'].includes(dirname(to));
    expect(includes.filter((include) => !allowed(include)).map(arrow)).toEqual([]);
  });

  it('make no circle', () => {
    expect(circleOf(includes)).toBeUndefined();
  });

  it('and its calls make none either, a file and the header of its name taken as one', () => {
    // Each file of `preload` is a library by itself, with the C library's names.
    const program = (path: string) => path.endsWith('.c') && !isIn(path, 'agent/native/preload');
    const calls = callsAmong(sources.filter(program));
    expect(calls.length).toBeGreaterThan(100);
    const nameOf = (path: string) => path.replace(/\.[ch]$/, '');
    const names = [...includes, ...calls].map(({ from, to }) => ({ from: nameOf(from), to: nameOf(to) }));
    expect(circleOf(names.filter(({ from, to }) => from !== to))).toBeUndefined();
  });
});

describe('a circle', () => {
  it('is found', () => {
    const [a, b, c] = ['a', 'b', 'c'];
    expect(
      circleOf([
        { from: a, to: b },
        { from: b, to: c },
        { from: c, to: b },
      ]),
    ).toEqual([b, c, b]);
  });
});

describe('files', () => {
  const lines = (path: string) => textOf(path).split('\n').length - 1;

  it('are short, but for those that are listed', () => {
    const long = sources.filter((path) => lines(path) > (LONGER[path] ?? MOST_LINES));
    expect(long.map((path) => `${path}: ${lines(path)}`)).toEqual([]);
  });

  it('that are listed as long still are', () => {
    expect(
      Object.keys(LONGER).filter((path) => !sources.includes(path) || lines(path) <= MOST_LINES),
    ).toEqual([]);
  });
});

describe('ARCHITECTURE.md', () => {
  const rows = textOf('ARCHITECTURE.md')
    .match(/^\| `[^`]+` \|/gm)!
    .map((row) => row.slice(3, -3));
  const folders = new Set(
    projectFiles
      .filter((path) => !path.startsWith('.') && path.includes('/'))
      .map((path) => path.split('/')[0]!),
  );
  const parts = new Set(
    projectFiles
      .filter((path) => /^(agent|adapter)\/[^/]+\//.test(path))
      .map((path) => path.split('/').slice(0, 2).join('/')),
  );
  const layered = new Set(
    projectFiles
      .filter((path) => /^agent\/(daemon|debug|machine)\/[^/]+\//.test(path))
      .map((path) => path.split('/').slice(0, 3).join('/')),
  );

  it('has a line for every folder, and for every room of the agent’s', () => {
    const rooms = [...folders, ...parts, ...layered].filter((room) => room !== 'agent' && room !== 'docs');
    expect(rooms.length).toBeGreaterThan(20);
    expect(rooms.filter((room) => !rows.includes(room))).toEqual([]);
  });

  /** The innermost row that a file is in: `adapter/values` has one, and so has `adapter` for the rest. */
  const rowOf = (path: string) =>
    rows.filter((row) => isIn(path, row)).sort((one, other) => other.length - one.length)[0];

  it('has the rooms in an order in which imports point down', () => {
    // What is right in a folder is at hand for the folder's own rooms, and its row stands above theirs.
    const between = imports
      .map(({ from, to }) => ({ from: rowOf(from), to: rowOf(to) }))
      .filter(({ from, to }) => from && to && !isIn(from, to)) as Import[];
    const up = between.filter(({ from, to }) => rows.indexOf(from) > rows.indexOf(to));
    expect(between.length).toBeGreaterThan(500);
    expect([...new Set(up.map(arrow))]).toEqual([]);
  });

  it('has none for a room that is not there', () => {
    const there = new Set([...folders, ...parts, ...layered]);
    expect(rows.filter((row) => /^[a-z/]+$/.test(row) && !there.has(row))).toEqual([]);
  });
});
