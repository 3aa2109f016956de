/** What an agent needs of its machine, checked one by one. */
import { execFile } from 'node:child_process';
import { access, mkdtemp, open, rmdir } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { asGodwitError } from '../api/errors';
import { findHierarchy } from '../machine/cgroup/hierarchy';
import { findCriu, inPath } from '../machine/criu/criu';
import { isAtLeast, numbers } from '../machine/versions';
import { findAgentNode, findBuiltHelper } from './runtime';

export interface Check {
  check: string;
  ok: boolean;
  /** What is there, or why it does not serve. */
  found: string;
  /** What to do; null where all is well. */
  fix: string | null;
}

const LEAST_NODE = '20';
/** close_range and the cgroup v2 freezer are older, gdbserver and CRIU are known to work from here on. */
const LEAST_KERNEL = '5.10';
/** A program that is asked for its version answers at once; on a slow machine that does much else, gdb took a dozen seconds. */
const ASK_DEADLINE_MS = 60_000;

const FUSE_DEVICE = '/dev/fuse';

const SETUP = 'run `npm run setup` as root';

/** Never throws: what can't be found out is a check that failed. */
export function checks(): Promise<Check[]> {
  return Promise.all([
    check('root', root),
    check('node', commandNode),
    check('node for the agent', agentNode),
    check('kernel', kernel),
    check('criu', criu),
    check('cgroup v2 freezer', freezer),
    check('packet hold', packetHold),
    check('fuse', fuse),
    check('gdb', () => program('gdb', ['--version'])),
    check('gdbserver', () => program('gdbserver', ['--version'])),
    check('ip', () => program('ip', ['-V'])),
    check('nsenter', () => program('nsenter', ['--version'])),
    check('openssl', () => program('openssl', ['version'])),
    // CRIU packs with them what is in a job's /dev/shm.
    check('tar', () => program('tar', ['--version'])),
    check('gzip', () => program('gzip', ['--version'])),
    check('helper', async () => findBuiltHelper()),
  ]);
}

/** A finding that is not good enough; any other error counts as one, with its own message. */
class Unfit extends Error {
  constructor(
    message: string,
    readonly fix: string,
  ) {
    super(message);
  }
}

/** `look` returns what it found, or throws what is wrong with it. */
async function check(name: string, look: () => Promise<string>): Promise<Check> {
  try {
    return { check: name, ok: true, found: await look(), fix: null };
  } catch (error) {
    if (error instanceof Unfit) return { check: name, ok: false, found: error.message, fix: error.fix };
    const { message, fix } = asGodwitError(error);
    return { check: name, ok: false, found: message, fix: fix ?? SETUP };
  }
}

async function root(): Promise<string> {
  const user = process.getuid?.();
  if (user === 0) return 'user 0';
  throw new Unfit(`user ${user}`, 'run it as root: CRIU, cgroups and namespaces need it');
}

async function commandNode(): Promise<string> {
  const { node } = process.versions;
  if (isAtLeast(node, LEAST_NODE)) return `${node}, ${process.execPath}`;
  throw new Unfit(node, `install Node.js ${LEAST_NODE} or newer`);
}

async function agentNode(): Promise<string> {
  const path = findAgentNode();
  return `${(await ask(path, ['--version'])).replace(/^v/, '')}, ${path}`;
}

async function kernel(): Promise<string> {
  const version = release();
  if (!isAtLeast(numbers(version), LEAST_KERNEL)) {
    throw new Unfit(version, `boot a kernel ${LEAST_KERNEL} or newer`);
  }
  await access(`/proc/self/task/${process.pid}/children`).catch(() => {
    throw new Unfit(`${version} without CONFIG_PROC_CHILDREN`, "boot your distribution's own kernel");
  });
  return version;
}

async function criu(): Promise<string> {
  const { path, version } = await findCriu();
  return `${version}, ${path}, passes its check`;
}

/** A folder of its own shows whether freezing is there: the hierarchy's top can't be frozen. */
const freezer = () =>
  inCgroup(async (folder, hierarchy) => {
    await access(join(folder, 'cgroup.freeze')).catch(() => {
      throw new Unfit(`${hierarchy} has no freezer`, `boot a kernel ${LEAST_KERNEL} or newer`);
    });
    return hierarchy;
  });

/** What every move does to the job's packets, tried on an empty cgroup. */
const packetHold = () =>
  inCgroup(async (folder) => {
    const helper = findBuiltHelper();
    await promisify(execFile)(helper, ['sockets', 'hold', folder], { timeout: ASK_DEADLINE_MS }).catch(
      (error: Error & { stdout?: string }) => {
        const fix =
          'boot a kernel with CONFIG_CGROUP_BPF, as the distributions have it; in a container, allow bpf(2)';
        throw new Unfit(error.stdout?.trim() || error.message, fix);
      },
    );
    return 'cgroup programs of BPF';
  });

/** `look` gets a folder of its own in the hierarchy, which is gone afterwards. */
async function inCgroup<T>(look: (folder: string, hierarchy: string) => Promise<T>): Promise<T> {
  const hierarchy = await findHierarchy();
  if (!hierarchy)
    throw new Unfit('no cgroup v2 is mounted', 'as root: mount -t cgroup2 cgroup2 /run/godwit/cgroup2');
  const folder = await mkdtemp(join(hierarchy, 'godwit-doctor-'));
  try {
    return await look(folder, hierarchy);
  } finally {
    await rmdir(folder);
  }
}

/** For the home's files on another node: opening the device loads the module, where it is one. */
async function fuse(): Promise<string> {
  try {
    await (await open(FUSE_DEVICE, 'r+')).close();
    return FUSE_DEVICE;
  } catch (error) {
    throw new Unfit(`${FUSE_DEVICE} can't be opened: ${(error as Error).message}`, 'as root: modprobe fuse');
  }
}

async function program(name: string, versionArgs: string[]): Promise<string> {
  const path = await inPath(name);
  if (!path) throw new Unfit('not installed', SETUP);
  return `${await ask(path, versionArgs)}, ${path}`;
}

/** The first line that the program prints. */
async function ask(path: string, args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(path, args, { timeout: ASK_DEADLINE_MS });
  return stdout.split('\n')[0]?.trim() ?? '';
}
