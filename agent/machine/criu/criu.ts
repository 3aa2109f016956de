/** CRIU, the program that saves and restores processes: where it is, and whether it serves on this machine. */
import { existsSync } from 'node:fs';
import { access, constants, readFile } from 'node:fs/promises';
import { release } from 'node:os';
import { delimiter, join } from 'node:path';
import { GodwitError } from '../../api/errors';
import type { User } from '../../api/model';
import { execute } from '../execution';
import { statusMask } from '../proc/parse';
import { isAtLeast, numbers } from '../versions';

/**
 * The least version that serves on a kernel (`uname -r`): before 4.1 CRIU does not know the vDSO of kernels from 6.13
 * on, before 4.2 it can't save TCP sockets on kernels from 6.16 on. As in scripts/setup-criu.sh.
 */
export const leastVersion = (kernel: string): string => (isAtLeast(numbers(kernel), '6.16') ? '4.2' : '4.1');
/** Where `npm run setup` puts one when neither the machine nor its packages have one that serves. */
export const PRIVATE_CRIU = '/var/lib/godwit/criu/bin/criu';
/** The same in a package, beside the programs. */
const GET_CRIU = join(__dirname, 'get-criu');
/** `criu check` takes a tenth of a second; one that hangs serves as little as one that fails. */
const ASK_DEADLINE_MS = 20_000;

export interface Criu {
  path: string;
  version: string;
}

/** What is wrong with the CRIU at `path`: null when it serves. */
export type Verdict = { version: string | null; problem: string | null };

/**
 * The CRIU to use: the configured one; else the first of PATH's and the private one that is new enough and passes its
 * own check. Throws `no-criu` with what is wrong with each.
 */
export async function findCriu(configured?: string): Promise<Criu> {
  const candidates = configured ? [configured] : [await inPath('criu'), PRIVATE_CRIU];
  const problems: string[] = [];
  for (const path of candidates) {
    if (!path) continue;
    const { version, problem } = await judge(path);
    if (version && !problem) return { path, version };
    problems.push(`${path}: ${problem}`);
  }
  throw noCriu(problems);
}

/** Asks a CRIU for its version and for its own check of the machine. Needs root. */
export async function judge(path: string): Promise<Verdict> {
  let version: string | null = null;
  try {
    version = parseVersion(await ask(path, ['--version']));
    if (!version) return { version, problem: 'it does not say its version' };
    const [kernel, least] = [release(), leastVersion(release())];
    if (!isAtLeast(version, least)) {
      return { version, problem: `it is version ${version}, kernel ${kernel} needs ${least} or newer` };
    }
    await ask(path, ['check']);
    return { version, problem: null };
  } catch (error) {
    return { version, problem: lastLine(error as Error & { stderr?: string }) };
  }
}

export const parseVersion = (text: string): string | null =>
  /^Version: (\d+(\.\d+)*)/m.exec(text)?.[1] ?? null;

/** The first executable of that name on PATH and the system's own folders. */
export async function inPath(name: string): Promise<string | null> {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  for (const folder of folders.filter(Boolean)) {
    const path = join(folder, name);
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  return null;
}

async function ask(path: string, args: string[]): Promise<string> {
  const { stdout } = await execute(path, args, { timeout: ASK_DEADLINE_MS });
  return stdout;
}

function lastLine(error: Error & { stderr?: string }): string {
  const lines = (error.stderr || error.message).trim().split('\n');
  return lines.at(-1) ?? error.message;
}

const noCriu = (problems: string[]) =>
  new GodwitError({
    code: 'no-criu',
    message: `no CRIU can be used here: ${problems.join('; ') || 'none is installed'}`,
    fix: existsSync(GET_CRIU) ? `run \`${GET_CRIU}\` as root` : 'run `npm run setup` as root',
  });

/** In the image folder, once `godwit-as-user.so` has been in effect in a process of the job (as-user.c). */
export const AS_USER_MARK = 'as-user';

/** The environment by which CRIU does with a user's files and sockets as that user; nothing for root's jobs. */
export const asUser = ({ uid, gid, groups }: User, images: string): Record<string, string> =>
  uid === 0
    ? {}
    : {
        LD_PRELOAD: join(__dirname, 'godwit-as-user.so'),
        GODWIT_USER: `${uid}:${gid}:${groups.join()}`,
        GODWIT_IMAGES: images,
      };

/** The bit of CAP_SYS_RESOURCE in /proc/PID/status (capabilities(7)). */
const SYS_RESOURCE = 1n << 24n;

/**
 * The environment by which CRIU can dump a job of any user. Without CAP_SYS_RESOURCE, which root in a container often
 * lacks, it needs `godwit-limits.so` to see the resource limits of other users' processes, see limits.c.
 */
export async function seeingLimits(): Promise<Record<string, string>> {
  const status = await readFile('/proc/self/status', 'utf8');
  return statusMask(status, 'CapEff') & SYS_RESOURCE
    ? {}
    : { LD_PRELOAD: join(__dirname, 'godwit-limits.so') };
}

/** Several such environments in one. */
export function together(...environments: Record<string, string>[]): Record<string, string> {
  const preloaded = environments.flatMap(({ LD_PRELOAD }) => LD_PRELOAD ?? []);
  return Object.assign({}, ...environments, preloaded.length > 0 ? { LD_PRELOAD: preloaded.join(':') } : {});
}
