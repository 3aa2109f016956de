/** Ann's job that holds one thing of each kind (programs/holder.c), away from its home and on its way there. */
import { rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect } from 'vitest';
import { compile } from '../support/c-programs';
import { inProject } from '../support/project';
import type { Stage } from './stage';

const [HOME, AWAY] = ['node1', 'node2'] as const;
const POINT = 'destination.pages-here';
/** The size of each of her files: what CRIU itself compares with that of another is the same. */
export const FILE_BYTES = 4096;

export class Holder {
  job = '';

  private constructor(
    private readonly stage: Stage,
    private readonly program: string,
    /** A folder of hers that is called like one of CRIU's. */
    readonly yard: string,
  ) {}

  static async in(stage: Stage): Promise<Holder> {
    const program = await compile(inProject('test', 'attacks', 'programs', 'holder.c'), stage.folder);
    const yard = `/tmp/.criu.mntns.${basename(stage.folder)}`;
    const script = `mkdir -m 700 held held/sockets held/ghosts held/place held/other held/crtools-put-root.own ${yard}
      for name in file mapped twin; do head -c ${FILE_BYTES} /dev/zero >held/$name; chmod 600 held/$name; done`;
    expect(await stage.as('ann', 'sh', '-ec', `cd ann; ${script}`)).toMatchObject({ status: 0 });
    return new Holder(stage, program, yard);
  }

  own(...names: string[]): string {
    return join(this.stage.folder, 'ann', 'held', ...names);
  }

  /** Moves it home and has `work` done when all is there and nothing restored yet: what the move says, null for moved. */
  async comesHome(work: () => unknown): Promise<string | null> {
    const { stage } = this;
    await this.#isAway();
    stage.arm(HOME, POINT);
    const moved = stage.ann.migrate(this.job, HOME).then(
      () => null,
      (error: Error) => error.message,
    );
    try {
      await stage.stands(HOME, POINT);
      await work();
    } finally {
      stage.letGo(HOME);
    }
    return await moved;
  }

  clear(): void {
    rmSync(this.yard, { recursive: true, force: true });
  }

  /** It runs where it was. */
  async goesOn(): Promise<void> {
    const { stage, job } = this;
    const before = (await stage.ann.logs(job)).length;
    await stage.until('it goes on', async () => (await stage.ann.logs(job)).length > before);
    expect(await stage.ann.job(job)).toMatchObject({ node: AWAY, state: 'running' });
  }

  /** A new one, where the last has got home. */
  async #isAway(): Promise<void> {
    const { stage } = this;
    if (this.job) {
      if ((await stage.ann.job(this.job)).node === AWAY) return;
      await stage.root.kill(this.job);
      await stage.ann.wait(this.job);
      for (const folder of [this.own('sockets'), this.own('crtools-put-root.own'), this.yard])
        rmSync(join(folder, 'door'), { force: true });
    }
    ({ id: this.job } = await stage.ann.run([this.program, this.own(), this.yard], { on: AWAY }));
    await stage.until('it holds all', async () => (await stage.ann.logs(this.job)).startsWith('ready'));
  }
}
