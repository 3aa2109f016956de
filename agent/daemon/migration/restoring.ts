/** A destination's second work of a move: CRIU restores the job frozen, and what it left out is made again. */
import assert from 'node:assert';
import { join } from 'node:path';
import type { Terms } from '../../api/peer-contract';
import { readSupervision } from '../../keeper/supervision';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { JobAccount } from '../../machine/cgroup/limits';
import { RESTORE_LOG, restoreArguments } from '../../machine/criu/arguments';
import { asUser, together } from '../../machine/criu/criu';
import { tellOfLostEvents } from '../../machine/criu/events';
import { recogniseFifos, withFifos } from '../../machine/criu/fifos';
import { recogniseReferences } from '../../machine/criu/identity';
import { explainFile } from '../../machine/criu/log';
import { addMountsIn, leaveOutMountsIn, mountImagesIn } from '../../machine/criu/mount-images';
import { notWaitingForLocks, settingEndedForeground, watchingLinks } from '../../machine/criu/preloaded';
import { putQueues } from '../../machine/criu/queues';
import { verifyRestored } from '../../machine/criu/verify';
import { pathsThere } from '../../machine/homefs/control';
import { jobMountsHere } from '../../machine/homefs/mounts';
import { type Copy, mountOf } from '../jobs/copy';
import type { Manifest } from './manifest';
import { CRIU_ENV, type MoveContext } from './move-context';
import type { Received } from './receiving';

/** For any size: the pages are here already, and CRIU only maps them. */
const RESTORE_LIMIT_MS = 600_000;
/** On a machine whose mounts are removed more often than this, a job can't be restored. */
const MOUNTS_TRIES = 5;
/** For it to say which of its mounts are there; the job is frozen meanwhile. */
const HOME_LIMIT_MS = 10_000;

interface MountsOfHome {
  /** In the images and the copy: those that there are. */
  arrange(): Promise<void>;
  /** Since they were arranged. */
  hasOneGone(): Promise<boolean>;
}

export class Restoring {
  constructor(private readonly context: MoveContext) {}

  /** Afterwards the copy is there, frozen, and as it was dumped. @param terms on which the home sent it */
  async restore(received: Received, manifest: Manifest, terms: Terms, signal: AbortSignal): Promise<void> {
    const { copy } = received;
    const account = await JobAccount.of(copy.cgroup);
    const attempt = async () => {
      const argv = await this.#command(received, account);
      signal.throwIfAborted();
      return this.#runCriu(received, argv);
    };
    const mounts =
      copy.files === null ? await this.#homesMounts(received, manifest) : this.#mountsThatCame(received);
    copy.init = await this.#amongMounts(copy, mounts, attempt, signal);
    await this.context.points.reach('destination.restored');
    await this.#makeWhole(received, manifest, terms);
    // Only now: until here CRIU was among them.
    await account.set(copy.limits);
  }

  /**
   * One of the home's mounts may be taken away at any time: a container ends. CRIU fails then, before it has made any of
   * the job's files; it is started again with those that are there now.
   */
  async #amongMounts(
    copy: Copy,
    { arrange, hasOneGone }: MountsOfHome,
    restore: () => Promise<number>,
    signal: AbortSignal,
  ): Promise<number> {
    const { clearing, points } = this.context;
    for (let left = MOUNTS_TRIES; ; left--) {
      await arrange();
      await points.reach('destination.mounts-known');
      try {
        return await restore();
      } catch (error) {
        if (signal.aborted || left === 1 || !(await hasOneGone())) throw error;
        await clearing.clearRestore(copy);
      }
    }
  }

  /** At home a job gets all of them. */
  async #homesMounts({ copy, images }: Received, { mounts }: Manifest): Promise<MountsOfHome> {
    const { helper, layout } = this.context;
    const wanted = { helper, user: copy.user, without: layout.state };
    const sent = await mountImagesIn(images);
    let added: string[] = [];
    return {
      arrange: async () => {
        const own = await jobMountsHere(wanted);
        added = own.filter((at) => !mounts.includes(at));
        await addMountsIn(images, sent, added, own);
        copy.mounts = [...mounts, ...added].sort();
      },
      hasOneGone: async () => {
        const now = await jobMountsHere(wanted);
        return !added.every((at) => now.includes(at));
      },
    };
  }

  /**
   * From home a job comes with all of them. Here it reaches what is mounted there by the mount of its home's files, and
   * needs none that it has no file on.
   */
  #mountsThatCame({ copy, images, root }: Received): MountsOfHome {
    let gone: string[] = [];
    return {
      arrange: async () => {
        if (gone.length === 0) return;
        copy.mounts = copy.mounts.filter((at) => !gone.includes(at));
        await leaveOutMountsIn(images, gone);
      },
      hasOneGone: async () => {
        const pathOf = (at: string) => join(root, at);
        const asked = [root, ...copy.mounts.map(pathOf)];
        const there = await pathsThere(asked, HOME_LIMIT_MS).catch((): string[] => []);
        // A home that does not answer has not said that one has.
        gone = there.includes(root) ? copy.mounts.filter((at) => !there.includes(pathOf(at))) : [];
        return gone.length > 0;
      },
    };
  }

  async #command({ copy, images, root }: Received, account: JobAccount): Promise<string[]> {
    const { helper, criu, networks } = this.context;
    const { run: inside, attach } = JobCgroup.at(copy.cgroup);
    const network = networks.namespaceOf(copy);
    const files = copy.files === null ? '/' : root;
    return [
      ...[helper, 'restore', '--cgroup', inside, '--outside', attach, '--report', copy.report],
      ...account.joined(copy.limits).flatMap((group) => ['--join', group]),
      ...['--pidfile', join(images, 'pidfile')],
      ...(network === null ? [] : ['--network', network]),
      ...['--', await criu()],
      ...restoreArguments({ images, root, files, mounts: copy.mounts, direct: copy.direct }),
    ];
  }

  /** The job's PID 1, as this node numbers it. */
  async #runCriu({ copy, images }: Received, argv: string[]): Promise<number> {
    const { keeper, points } = this.context;
    const key = copy.supervisor;
    const own = together(asUser(copy.user, images), withFifos(images));
    const mended = together(watchingLinks(), notWaitingForLocks(), settingEndedForeground());
    const env = together(CRIU_ENV, own, mended);
    await keeper.call('process.start', { key, argv, env });
    await points.reach('destination.restore-started');
    const { line } = await this.#whileHomeAnswers(copy, () =>
      keeper.call('process.line', { key, index: 0 }, { timeoutMs: RESTORE_LIMIT_MS }),
    );
    const said = line === null ? null : readSupervision(line);
    if (!said || !('restored' in said)) throw await explainFile('restore', join(images, RESTORE_LOG));
    return said.restored.init;
  }

  /** Is it what was dumped? What CRIU does not bring back is made again. */
  async #makeWhole(received: Received, { processes: expected }: Manifest, terms: Terms): Promise<void> {
    const { copy, images, root } = received;
    const { helper, mounts, networks } = this.context;
    const cgroup = JobCgroup.at(copy.cgroup);
    assert(copy.init !== null, `the copy of job ${copy.job} has no PID 1 yet`);
    const processes = await verifyRestored(cgroup, copy.init, expected);
    await this.#whileHomeAnswers(copy, async () => {
      const pids = processes.map(({ pid }) => pid);
      const where = { root, mounts: copy.mounts, network: networks.namespaceOf(copy) };
      await recogniseReferences({
        helper,
        images,
        pids,
        cgroup,
        abroad: copy.files !== null,
        terms,
        ...where,
      });
      await mounts.trim(copy);
    });
    const frozen = { helper, processes, run: cgroup.run, images };
    await recogniseFifos(frozen);
    await putQueues(frozen);
    await tellOfLostEvents(frozen);
  }

  /** CRIU would wait for files that do not come; it is ended with what it has restored. */
  async #whileHomeAnswers<T>(copy: Copy, work: () => Promise<T>): Promise<T> {
    const files = mountOf(copy);
    if (!files) return work();
    const over = new AbortController();
    const unanswered = this.context.mounted
      .watch(files, over.signal)
      .then(() => new Promise<never>(() => {}));
    try {
      return await Promise.race([work(), unanswered]);
    } finally {
      over.abort();
      unanswered.catch(() => {});
    }
  }
}
