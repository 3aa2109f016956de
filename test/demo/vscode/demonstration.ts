/** The scenario in VS Code: shown to a person in the browser, or gone through by itself, step by step. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Godwit } from '../../support/godwit';
import { inProject } from '../../support/project';
import { newestPackage } from '../../vscode/harness/extension';
import { VscodeServer } from '../../vscode/harness/server';
import { TestFolder } from '../../vscode/harness/test-folder';
import { Vscode, type VscodeOptions } from '../../vscode/harness/vscode';
import { EditorScenario } from '../../vscode/scenario';
import { Sample } from '../sample';
import type { Screen } from '../screen';
import { LAB, NODES, Stage } from '../stage';

const PICTURES = 'demo-pictures';

const whatToTry = (url: string) => `
   VS Code is at   ${url}

   What to try:

   1  Open heat.c, click beside a line of \`survey\` for a breakpoint. F1, "Godwit: Launch and Debug Job…",
      heat, no arguments, node1. (Or F5: .vscode/launch.json has it.)
   2  Step over. F1, "Godwit: Migrate Job…", node2. You stand on the same line, now on node2. Step over again.
   3  Continue, and move it while it runs: in the sidebar, Godwit, right-click the job.
   4  "Godwit: Show Migration Timeline", "Godwit: Show Cluster Load", "Godwit: Show Console".

   Ctrl-C here ends it and takes everything down.
`;

export class VscodeDemonstration {
  readonly stage: Stage;
  #vscode: Vscode | undefined;
  #testFolder: TestFolder | undefined;
  #kept = '';
  stays = false;

  constructor(
    private readonly screen: Screen,
    private readonly check: boolean,
    /** By VS Code's name for it. */
    private readonly theme: string,
  ) {
    this.stage = new Stage(screen);
  }

  /** @throws whatever stops it; `close` in any case */
  async show(): Promise<void> {
    const { stage, screen } = this;
    screen.title(
      'Godwit: a running program moves to another node under VS Code',
      'Everything is real: VS Code, the processes, the moves between network namespaces, and gdb as it comes.',
    );
    await stage.open();
    const folder = join(stage.folder, 'heat');
    const sample = await Sample.make(stage, folder);
    const godwit = await stage.labUp();
    const options = {
      folder,
      extensions: [newestPackage()],
      settings: { 'workbench.colorTheme': this.theme },
      // The extension finds the lab's agent by its name, as the command does.
      env: { GODWIT_LAB: LAB },
    };
    if (this.check) await this.#goThrough(options, sample, godwit);
    else await this.#stay(options);
  }

  report(error: unknown): string {
    const kept = this.#kept ? [['what was seen', this.#kept] as [string, string]] : [];
    return this.stage.report(error, kept);
  }

  close(): Promise<void> {
    return this.stage.close(async () => {
      await this.#vscode?.close();
      await this.#testFolder?.close();
    });
  }

  async #goThrough(options: VscodeOptions, sample: Sample, godwit: Godwit): Promise<void> {
    const { stage, screen } = this;
    const pictures = inProject(PICTURES);
    rmSync(pictures, { recursive: true, force: true });
    mkdirSync(pictures);
    this.#vscode = await screen.waiting('starting VS Code', Vscode.open({ ...options, view: 'Godwit' }));
    const { workbench } = this.#vscode;
    screen.saw('VS Code, with the extension installed from its .vsix');
    const scenario = new EditorScenario({
      godwit,
      workbench,
      ...sample.workspace,
      nodes: NODES,
      tell: screen,
      picture: (name) => workbench.picture(join(pictures, `${name}.png`)),
    });
    try {
      await stage.step(1, 'Launch and Debug Job…, on node1: a breakpoint, variables, watch, call stack', () =>
        scenario.launch(),
      );
      await stage.step(2, 'Two steps; it moves to node2 while it stands there', () =>
        scenario.moveWhileStopped(),
      );
      await stage.step(3, 'Two more steps; a conditional breakpoint hits on node2', () =>
        scenario.stopOnCondition(),
      );
      await stage.step(4, 'From the sidebar to node3 while it runs towards a breakpoint', () =>
        scenario.moveWhileRunning(),
      );
      await stage.step(5, 'Back to node1 in the middle of a step over a line that runs for seconds', () =>
        scenario.moveDuringStep(),
      );
      await stage.step(6, 'The sidebar, the timeline, the load, the console', () => scenario.lookAround());
      await stage.step(7, 'It runs to its end, and nothing tells that it has travelled', async () =>
        scenario.runToEnd(await sample.output()),
      );
      screen.saw(`a picture of each step is in ${PICTURES}/`);
    } catch (error) {
      this.#kept = await this.#vscode.keep('demo').catch(() => '');
      throw error;
    }
  }

  async #stay({ folder, ...options }: VscodeOptions): Promise<void> {
    this.#testFolder = new TestFolder('godwit-vscode');
    const starting = VscodeServer.start(this.#testFolder, options);
    const server = await this.screen.waiting('starting VS Code', starting);
    this.screen.say(whatToTry(server.url(folder)));
    this.stays = true;
    await server.ended;
    throw new Error('the VS Code server has ended');
  }
}
