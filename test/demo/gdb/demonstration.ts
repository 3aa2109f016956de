/** The scenario with gdb in a terminal: the sample program moves from node to node under it, in six steps. */
import { join } from 'node:path';
import { Scenario } from '../../support/scenario';
import { Sample } from '../sample';
import type { Screen } from '../screen';
import { NODES, Stage } from '../stage';

export class GdbDemonstration {
  readonly stage: Stage;
  #scenario: Scenario | undefined;

  constructor(private readonly screen: Screen) {
    this.stage = new Stage(screen);
  }

  /** @throws whatever stops it; `close` in any case */
  async show(): Promise<void> {
    const { stage, screen } = this;
    screen.title(
      'Godwit: a running program moves to another node under gdb',
      'Everything is real: the processes, the moves between network namespaces, and gdb as it comes.',
    );
    await stage.open();
    const sample = await Sample.make(stage, join(stage.folder, 'heat'));
    const godwit = await stage.labUp();
    const { subject, program } = sample.workspace;
    const scenario = new Scenario({ godwit, subject, program, nodes: NODES, tell: screen });
    this.#scenario = scenario;
    await stage.step(1, 'On node1: a breakpoint, locals, two `next`s', () => scenario.stopOnFirstNode());
    await stage.step(2, 'It moves to node2 while it stands there', () => scenario.moveWhileStopped());
    await stage.step(3, 'It moves to node3 while it runs towards a conditional breakpoint', () =>
      scenario.moveWhileRunning(),
    );
    await stage.step(4, 'It moves back to node1 in the middle of a `next`', () => scenario.moveDuringNext());
    await stage.step(5, 'To node2 under a watchpoint, with a second gdb on its second process', () =>
      scenario.watchAcrossMove(),
    );
    await stage.step(6, 'It runs to its end, and nothing tells that it has travelled', async () => {
      await scenario.runToEnd(await sample.output());
      await scenario.checkHistory();
      screen.lines(await godwit.text(['history', scenario.job]));
    });
  }

  report(error: unknown): string {
    const gdbs = this.#scenario?.transcripts ?? [];
    return this.stage.report(
      error,
      gdbs.map((text, at) => [`gdb ${at + 1}`, text]),
    );
  }

  close(): Promise<void> {
    return this.stage.close();
  }
}
