/** What is fuzzed, and what each fuzzer is made of. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { inProject } from '../support/project';

export interface Target {
  name: string;
  /** Under which sanitisers: `thread` finds races, and then libFuzzer does not choose the inputs (races.c). */
  under: 'address' | 'thread';
  /** Of test/fuzz/targets and of agent. */
  sources: string[];
  /** The folder of test/fuzz/corpus from which it starts. */
  corpus: string;
}

const own = (...names: string[]) =>
  [...names, 'fuzz'].map((name) => inProject('test/fuzz/targets', `${name}.c`));
const agents = (...names: string[]) => names.map((name) => inProject('agent/native', `${name}.c`));
const COMMAND = 'common/command';

/** The home's file server without what carries requests to it: the wire, its queue and threads. */
const SERVER = readdirSync(inProject('agent/native/homefs'))
  .filter((file) => file.endsWith('.c') && !/^(main|serve|wire|mount|caller|control)\.c$/.test(file))
  .map((file) => inProject('agent/native/homefs', file));
const server = (name: string) => [...own(name, 'messages'), ...SERVER, ...agents(COMMAND)];

/** The parts of `look`, and what they ask. */
const LOOK = agents(
  ...[
    'look',
    'look-descriptors',
    'look-links',
    'look-mounts',
    'look-processes',
    'look-sharing',
    'look-sockets',
    'look-watches',
    'mountinfo',
    'watches',
    'cgroups',
    'member',
    'deleted-names',
    'mounted-here',
  ].map((name) => `helper/${name}`),
  ...['messages', 'scheduling', 'sysv', 'traits', 'locks'].map((name) => `helper/${name}`),
  COMMAND,
);

export const TARGETS: Target[] = [
  { name: 'requests', under: 'address', sources: server('requests'), corpus: 'requests' },
  { name: 'races', under: 'thread', sources: server('races'), corpus: 'requests' },
  { name: 'wire', under: 'address', sources: own('wire'), corpus: 'wire' },
  {
    name: 'answers',
    under: 'address',
    sources: [...own('answers'), ...agents('homefs/caller', 'homefs/control', COMMAND)],
    corpus: 'answers',
  },
  { name: 'frames', under: 'address', sources: [...own('frames'), ...agents(COMMAND)], corpus: 'frames' },
  {
    name: 'look',
    under: 'address',
    sources: [...own('look'), ...LOOK],
    corpus: 'look',
  },
];

const COMMON = ['-std=gnu11', '-D_GNU_SOURCE', '-O1', '-g', '-pthread', '-fno-omit-frame-pointer'];
const SANITIZERS = {
  address: ['-fsanitize=fuzzer,address,undefined', '-fno-sanitize-recover=all'],
  thread: ['-fsanitize=thread'],
};

/** How clang makes it, into `folder`. */
export const compileCommand = ({ name, under, sources }: Target, folder: string): string[] => [
  'clang',
  ...COMMON,
  ...SANITIZERS[under],
  '-o',
  join(folder, name),
  ...sources,
];
