/** The layout of mounts in a copy's root. */
import assert from 'node:assert';
import type { SharedMount } from '../../api/peer-contract';
import { mountsThere, trimMounts } from '../../machine/criu/mounts';
import { alsoShared } from '../../machine/homefs/shared';
import type { Copy } from './copy';

export class JobMounts {
  constructor(
    private readonly helper: string,
    /** What of this node others may have as well. */
    private readonly shared: () => Promise<SharedMount[]>,
  ) {}

  /** Sets the layout, as the job's home has decided it, and what of it this node has itself. */
  async set(copy: Copy, { mounts, shared }: Pick<Copy, 'mounts' | 'shared'>): Promise<void> {
    const direct = copy.files === null ? shared.map(({ at }) => at) : await this.direct(shared);
    Object.assign(copy, { mounts, shared, direct });
  }

  /** The same for a launch: elsewhere than at home the mount of the home's files shows its other mounts, as they come and go. */
  async setForLaunch(copy: Copy, layout: Pick<Copy, 'mounts' | 'shared'>): Promise<void> {
    await this.set(copy, layout);
    if (copy.files !== null) copy.mounts = copy.shared.map(({ at }) => at);
  }

  /**
   * A frozen job keeps those of its home's mounts that it uses, or that other nodes may have as well; at home all of
   * them. @throws `mounts-failed`
   */
  async trim(copy: Copy): Promise<void> {
    const { init } = copy;
    assert(init !== null, `the copy of job ${copy.job} has no PID 1 yet`);
    if (copy.files !== null) {
      const shared = new Set(copy.shared.map(({ at }) => at));
      const others = copy.mounts.filter((at) => !shared.has(at));
      const used = new Set(await trimMounts({ helper: this.helper, init }, others));
      copy.mounts = copy.mounts.filter((at) => shared.has(at) || used.has(at));
    }
    copy.mounts = await mountsThere(init, copy.mounts);
  }

  /** The places of those folders of another home's that are the same files on this node. */
  async direct(shared: SharedMount[]): Promise<string[]> {
    return shared.length === 0 ? [] : alsoShared(shared, await this.shared());
  }
}
