/** The sample program of the demonstrations, compiled; and what it prints without Godwit. */
import { cpSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { compile, lineCount } from '../support/c-programs';
import { expectEqual } from '../support/expect';
import { type Outcome, run } from '../support/processes';
import { heat } from './heat';
import type { Stage } from './stage';

/** The sample by itself, on the idlest tenth of a slow machine. */
const PLAIN_MS = 600_000;

export class Sample {
  private constructor(
    private readonly stage: Stage,
    /** A copy of the C file. */
    readonly source: string,
    readonly program: string,
    private readonly plain: Promise<Outcome>,
  ) {}

  /** Compiled in the folder, with its source beside it; computing its output begins, out of the way of what is shown. */
  static async make(stage: Stage, folder: string): Promise<Sample> {
    const { screen } = stage;
    const source = join(folder, 'heat.c');
    cpSync(heat.source, source);
    const program = await screen.waiting('compiling the sample', compile(source, folder, 'heat'));
    screen.shorten(`${folder}/`, './');
    screen.saw(`heat.c, ${lineCount(source)} lines of C: 2 processes, 5 threads`);
    const alone = await compile(source, stage.folder, 'heat-alone');
    const plain = run(['nice', '-n', '19', alone, ...heat.args], { limitMs: PLAIN_MS });
    // It is asked for at the end; if the demonstration fails before, nobody asks.
    plain.catch(() => {});
    return new Sample(stage, source, program, plain);
  }

  get folder(): string {
    return dirname(this.program);
  }

  /** What it prints without Godwit. */
  async output(): Promise<string> {
    const { status, stdout } = await this.stage.screen.waiting('the same program without Godwit', this.plain);
    expectEqual('its exit status without Godwit', status, 0);
    return stdout;
  }
}
