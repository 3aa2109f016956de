/** The sample program of the demonstrations, in a folder of its own; and what it prints without Godwit. */
import { lineCount } from '../support/c-programs';
import { expectEqual } from '../support/expect';
import { type Outcome, run } from '../support/processes';
import { makeWorkspace, type Workspace } from '../vscode/workspace';
import { heat } from './heat';
import type { Stage } from './stage';

/** The sample by itself, on the idlest tenth of a slow machine. */
const PLAIN_MS = 600_000;

export class Sample {
  private constructor(
    private readonly stage: Stage,
    readonly workspace: Workspace,
    private readonly plain: Promise<Outcome>,
  ) {}

  /** Begins to compute what it prints, too, out of the way of what is shown. */
  static async make(stage: Stage, folder: string): Promise<Sample> {
    const { screen } = stage;
    const making = makeWorkspace(heat, folder);
    const workspace = await screen.waiting('compiling the sample', making);
    const { source } = workspace.subject;
    screen.shorten(`${folder}/`, './');
    screen.saw(`heat.c, ${lineCount(source)} lines of C: 2 processes, 5 threads`);
    // Of another name: what runs of the program itself is counted.
    const alone = await makeWorkspace({ ...heat, name: 'heat-alone' }, `${stage.folder}/alone`);
    const plain = run(['nice', '-n', '19', alone.program, ...heat.args], { limitMs: PLAIN_MS });
    // It is asked for at the end; not if the demonstration fails before.
    plain.catch(() => {});
    return new Sample(stage, workspace, plain);
  }

  /** What it prints without Godwit. */
  async output(): Promise<string> {
    const { status, stdout } = await this.stage.screen.waiting('the same program without Godwit', this.plain);
    expectEqual('its exit status without Godwit', status, 0);
    return stdout;
  }
}
