/** What the guests boot: what `godwit live build` makes of two releases of Debian, with what the tests speak to. */
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { findAgentNode } from '../../agent/command/runtime';
import { nodePrograms } from '../../agent/joining/node-programs';
import { run } from '../support/processes';
import { inProject } from '../support/project';

const CACHE = '/var/lib/godwit/machines';
const IMAGES = join(CACHE, 'images');
/** In which each run has a folder. */
export const RUNS = join(CACHE, 'runs');

/** By the kernel's version, the release of Debian that has it. */
const SUITES = { '6.1': 'bookworm', '6.12': 'trixie' } as const;
export type Kernel = keyof typeof SUITES;

export interface Image {
  iso: string;
  kernel: string;
  initramfs: string;
}
export type Images = Readonly<Record<Kernel, Image>>;

/** The jobs' folder, at their home. */
export const WORK = '/opt/work';
/** Where the guests have their programs to be moved, and where the same are here. */
export const PROGRAMS = '/opt/programs';
export const PROGRAMS_HERE = join(IMAGES, 'programs');
const GUEST = inProject('test', 'machines', 'guest');
/** What is built of it has the steps in it as well, of which no image is made. */
const HERE = inProject('test', 'machines', 'image.ts');

/** Time as an emulated machine has it: TSCs of two cores are not one clock. What has no dot in its name is for programs. */
export const KERNEL_WORDS = 'console=ttyS0 tsc=unstable clocksource=hpet NODE_OPTIONS=--jitless';
/** The guest that boots from the ISO, where nothing can be said to its kernel but what is in there. */
const OF_ISO = 'godwit.name=two';
const BUILD_MS = 3_600_000;

/** Made anew when something in them is another. @param work a folder to make them in @param say what is done */
export async function images(work: string, say: (line: string) => void): Promise<Images> {
  const image = (name: Kernel): Image => {
    const base = join(IMAGES, name);
    return { iso: `${base}.iso`, kernel: `${base}.vmlinuz`, initramfs: `${base}.initramfs` };
  };
  const made: Images = { '6.1': image('6.1'), '6.12': image('6.12') };
  const stamp = join(IMAGES, 'made-of');
  const of = await ingredients();
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === of) return made;
  rmSync(IMAGES, { recursive: true, force: true });
  mkdirSync(PROGRAMS_HERE, { recursive: true });
  const files = await makeFiles(join(work, 'files'));
  for (const [name, suite] of Object.entries(SUITES)) {
    const { iso } = made[name as Kernel];
    const words = `${KERNEL_WORDS} ${OF_ISO}`;
    const options = ['--suite', suite, '--append', words, '--files', files, '--quick', '-o', iso];
    await succeed([inProject('dist', 'godwit.cjs'), 'live', 'build', ...options], BUILD_MS);
    const [mib, first] = [iso, made[name as Kernel].initramfs].map((file) =>
      Math.round(statSync(file).size / 2 ** 20),
    );
    say(`made the image with kernel ${name}: ISO ${mib} MiB, initramfs ${first} MiB`);
  }
  writeFileSync(stamp, of);
  return made;
}

/** What is put over the system's own files. */
async function makeFiles(folder: string): Promise<string> {
  cpSync(join(GUEST, 'files'), folder, { recursive: true });
  // What a job runs is static: nothing but it has to be known to a debugger elsewhere.
  const flags = '-D_GNU_SOURCE -static -g -O0 -Wall -Wextra -o'.split(' ');
  const sources = join(GUEST, 'programs');
  for (const source of readdirSync(sources))
    await succeed(['gcc', ...flags, join(PROGRAMS_HERE, basename(source, '.c')), join(sources, source)]);
  cpSync(PROGRAMS_HERE, join(folder, PROGRAMS), { recursive: true });
  mkdirSync(join(folder, WORK), { recursive: true });
  return folder;
}

async function ingredients(): Promise<string> {
  const within = (folder: string): string[] =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .map((name) => join(folder, name))
      .filter((path) => statSync(path).isFile());
  const programs = (await nodePrograms(inProject('dist'))).map((name) => inProject('dist', name));
  const hash = createHash('sha256');
  for (const file of [...programs, ...within(inProject('dist', 'godwit-live')), ...within(GUEST), HERE])
    hash.update(file).update(readFileSync(file));
  const node = findAgentNode();
  return hash.update(`${node} ${statSync(node).size}`).digest('hex');
}

async function succeed(argv: string[], limitMs?: number): Promise<string> {
  const { status, stdout, stderr } = await run(argv, { limitMs });
  if (status !== 0) throw new Error(`\`${argv.join(' ')}\` exited with ${status}: ${stderr}`);
  return stdout;
}
