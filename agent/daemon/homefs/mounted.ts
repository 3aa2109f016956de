/**
 * The host's end: a mount of the home's files for each copy whose home is another node, joined to its server there,
 * and again after each cut, for as long as the copy exists.
 */
import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { asGodwitError, GodwitError } from '../../api/errors';
import { GrowingPause } from '../../api/retry';
import type { Log } from '../../log';
import { pathInHierarchy } from '../../machine/cgroup/hierarchy';
import { execute } from '../../machine/execution';
import { delayedMs, syncHome, unmountHome } from '../../machine/homefs/control';
import { joinWires } from '../../machine/homefs/join';
import { removeMountPoint } from '../../machine/homefs/mount-point';
import { mountCommand } from '../../machine/homefs/program';
import type { Tickets } from '../../wire/tickets';
import type { Peers } from '../cluster/peers';
import type { Daemons } from './daemons';

/** A home that is there answers a call and starts a server in less. */
const OPEN_MS = 5_000;
/** How long it may take until a fresh mount answers: a home slower than this is too slow to run on. */
const FIRST_ANSWER_MS = 15_000;
/**
 * How long a home may be silent while a move depends on it, and how often it is asked meanwhile. One that compiles on
 * all its processors and carries several moves has taken more than five seconds.
 */
const ANSWER_MS = 10_000;
const WATCH_MS = 1_000;
/** What a frozen job has written into mappings and not sent yet: the kernel lets some hundred MB gather. */
const SYNC_MS = 20_000;
/** Between two tries to reach the home. */
const PAUSES = { firstMs: 50, mostMs: 1_000 };
const WIRE_BYTES = 16;

export interface MountedOptions {
  daemons: Daemons;
  peers: Peers;
  tickets: Tickets;
  /** dist/godwit-homefs. */
  program: string;
  /** The folder of the mounts. */
  roots: string;
  log: Log;
}

/** Which copy's files: `epoch` is the one under which they are mounted, whatever becomes of the copy later. */
export interface MountOf {
  job: string;
  epoch: number;
  home: string;
  /** The user whose job it is, by number. */
  uid: number;
  /** The copy's folder in the cgroup hierarchy. */
  cgroup: string;
}

type Named = Pick<MountOf, 'job' | 'epoch'>;

export const homeUnreachable = (home: string, why: string) =>
  new GodwitError({
    code: 'home-unreachable',
    message: `the files of its home ${home} can't be reached: ${why}`,
    fix: `is ${home} up, and its disk not overloaded? Try again when it answers`,
  });

/** Answers of a home by whose journal the node has no copy of the job any more. */
const OVER = ['job-ended', 'not-your-job'];
/** Errors between the two ends that another connection would not change. */
const FOR_GOOD = ['home-files-lost', 'not-the-same-files'];
const MOUNT_ENDED = 'the process that mounts them here has ended';

/** The joining of one mount, until it is over. */
interface Joining {
  wire: string;
  over: AbortController;
}

interface MountedEvents {
  /** A copy's files are lost for good. */
  lost: [mount: MountOf, why: string];
}

export class MountedFiles extends EventEmitter<MountedEvents> {
  readonly #joining = new Map<string, Joining>();

  constructor(private readonly options: MountedOptions) {
    super();
  }

  /** Where the home's `/` is seen. */
  at(mount: Named): string {
    return join(this.options.roots, nameOf(mount));
  }

  /** @throws GodwitError `home-unreachable`, `home-files-failed`, `job-ended` */
  async mount(mount: MountOf): Promise<void> {
    const { daemons, program } = this.options;
    const { home, uid } = mount;
    const [name, at, wire] = [nameOf(mount), this.at(mount), randomBytes(WIRE_BYTES).toString('hex')];
    await mkdir(at, { recursive: true });
    const order = { program, id: wire, home, at, uid, cgroup: await pathInHierarchy(mount.cgroup) };
    const delayed = daemons.noted(name);
    await daemons.start(name, wire, (socket) => mountCommand({ ...order, socket, delayed }));
    const refused = this.#join(mount, wire);
    try {
      await Promise.race([probe(at, FIRST_ANSWER_MS), refused.then(never)]);
    } catch (error) {
      if (OVER.includes(asGodwitError(error).code)) throw error;
      throw homeUnreachable(home, (error as Error).message);
    }
  }

  /** Takes up what an earlier run of the agent has mounted. */
  async takeUp(mount: MountOf): Promise<void> {
    const found = await this.options.daemons.find(nameOf(mount));
    if (found) void this.#join(mount, found.wire);
    else this.emit('lost', mount, MOUNT_ENDED);
  }

  /** Asks whether the home answers for these files, paths of this node. @throws `home-unreachable` */
  async answers({ home, ...mount }: MountOf, files: string[]): Promise<void> {
    await probe(this.at(mount), ANSWER_MS, files).catch((error: Error) => {
      throw homeUnreachable(home, error.message);
    });
  }

  /** For how long the copy has waited for answers of its home, ms; null where that is not known. */
  delayedMs(mount: Named): Promise<number | null> {
    return delayedMs(this.options.daemons.noted(nameOf(mount)));
  }

  /** Rejects when the home stops answering; else waits for the end of `signal`. @throws `home-unreachable` */
  async watch(mount: MountOf, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.answers(mount, []);
      await sleep(WATCH_MS, undefined, { signal }).catch(() => {});
    }
  }

  /**
   * All that the copy, which must be frozen, has written is at home, mappings included.
   * @throws GodwitError `home-unreachable`
   */
  async sync(mount: MountOf): Promise<void> {
    await syncHome(this.options.program, this.at(mount), SYNC_MS).catch((error: Error) => {
      throw homeUnreachable(mount.home, error.message);
    });
  }

  /** Ends the mount for all who use it. One that isn't there is no error. */
  async end(mount: Named): Promise<void> {
    const [name, at] = [nameOf(mount), this.at(mount)];
    this.#joining.get(name)?.over.abort();
    this.#joining.delete(name);
    await unmountHome(this.options.program, at, { abort: true });
    await this.options.daemons.end(name);
    await removeMountPoint(at);
  }

  #join(mount: MountOf, wire: string): Promise<GodwitError | null> {
    const joining = { wire, over: new AbortController() };
    this.#joining.set(nameOf(mount), joining);
    return this.#keepJoined(mount, joining);
  }

  /** Until it is over; the error if the home says that the job is. */
  async #keepJoined(mount: MountOf, joining: Joining): Promise<GodwitError | null> {
    const { daemons, log } = this.options;
    const { signal } = joining.over;
    const pause = new GrowingPause(PAUSES);
    let logged = '';
    const joined = () => {
      if (logged) log(`the files of its home ${mount.home} are reached again`, { job: mount.job });
      pause.reset();
      logged = '';
    };
    while (!signal.aborted) {
      try {
        await this.#joinOnce(mount, joining, joined);
      } catch (error) {
        const failure = asGodwitError(error);
        const { code, message } = failure;
        if (signal.aborted) return null;
        if (OVER.includes(code)) return failure;
        if (FOR_GOOD.includes(code)) return this.#lose(mount, message);
        if (message !== logged)
          log(`not connected to the files of its home ${mount.home}: ${message}`, { job: mount.job });
        logged = message;
      }
      if (!signal.aborted && !(await daemons.find(nameOf(mount)))) {
        return signal.aborted ? null : this.#lose(mount, MOUNT_ENDED);
      }
      await pause.wait(signal);
    }
    return null;
  }

  #lose(mount: MountOf, why: string): null {
    this.emit('lost', mount, why);
    return null;
  }

  /** Resolves or rejects when the two ends are parted again. */
  async #joinOnce(mount: MountOf, { wire, over }: Joining, joined: () => void): Promise<void> {
    const { daemons, peers, tickets } = this.options;
    const { job, epoch, home } = mount;
    const { signal } = over;
    const options = { timeoutMs: OPEN_MS, signal };
    const { ticket } = await peers.call(home, 'home.files', { job, epoch, wire }, options);
    const far = await peers.openStream(home, ticket, tickets);
    const near = await daemons.connect(nameOf(mount)).catch((error) => {
      far.destroy();
      throw error;
    });
    const part = () => {
      far.destroy();
      near.destroy();
    };
    signal.addEventListener('abort', part, { once: true });
    try {
      await joinWires(near, far, joined);
    } finally {
      signal.removeEventListener('abort', part);
    }
  }
}

/** Rejects with what the home refuses; otherwise it never settles. */
function never(refusal: GodwitError | null): Promise<never> {
  if (refusal) throw refusal;
  return new Promise(() => {});
}

const nameOf = ({ job, epoch }: Named) => `${job}.${epoch}`;

/**
 * Asks the file system at `at` something that no cache answers (statfs), and for `files`; in processes of their own
 * that can be given up: a thread of this one would wait with them.
 */
async function probe(at: string, limitMs: number, files: string[] = []): Promise<void> {
  const ask = (...args: string[]) => execute('stat', args, { timeout: limitMs, killSignal: 'SIGKILL' });
  const gone = (error: unknown) => {
    // Failures of single files don't matter: they may have been closed meanwhile.
    if ((error as { killed?: boolean }).killed) throw error;
  };
  try {
    await Promise.all([
      ask('--file-system', '--', at),
      files.length > 0 && ask('--dereference', '--', ...files).catch(gone),
    ]);
  } catch (error) {
    const { killed, stderr } = error as { killed?: boolean; stderr?: string };
    throw new Error(killed ? `no answer within ${limitMs} ms` : (stderr?.trim() ?? String(error)));
  }
}
