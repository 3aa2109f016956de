/** What VS Code shows of a debug session, and its buttons. */
import type { Locator } from 'playwright-core';
import { PATIENCE_MS, until } from './wait';
import type { Workbench } from './workbench';

/** Where the topmost frame stands. */
export interface Frame {
  function: string;
  file: string;
  line: number;
}

type Button =
  | 'Continue'
  | 'Pause'
  | 'Step Over'
  | 'Step Into'
  | 'Step Out'
  | 'Restart'
  | 'Stop'
  | 'Disconnect';

/** More than any console is high. */
const FAR_PX = 100_000;

export class DebugView {
  constructor(private readonly workbench: Workbench) {}

  get #page() {
    return this.workbench.page;
  }

  get #place(): Locator {
    return this.#page.locator('.part.statusbar .statusbar-item[id$="godwit.place"]');
  }

  get toolbar(): Locator {
    return this.#page.locator('.debug-toolbar');
  }

  button(name: Button): Locator {
    return this.toolbar.locator(`a.action-label[aria-label^="${name}"]`);
  }

  async press(name: Button): Promise<void> {
    await this.button(name).click();
    await this.workbench.restMouse();
  }

  /** The call stack's frames, the topmost first; none while the program runs. Rows are in no order in the document. */
  frames(): Promise<Frame[]> {
    return this.#page.locator('.debug-call-stack .stack-frame').evaluateAll((all) => {
      const place = (frame: Element) => Number(frame.closest('.monaco-list-row')?.getAttribute('data-index'));
      const sorted = all.toSorted((one, other) => place(one) - place(other));
      return sorted.map((frame) => {
        const text = (selector: string) => frame.querySelector(selector)?.textContent?.trim() ?? '';
        return {
          function: text('.label.expression') || text('.label'),
          file: text('.file-name'),
          line: Number(text('.line-number').split(':')[0]),
        };
      });
    });
  }

  /** Waits until the program stands on this line of this file, with its variables to be seen. */
  async stoppedAt(file: string, line: number, limitMs = PATIENCE_MS): Promise<Frame> {
    const look = async () => (await this.frames())[0];
    const at = (frame: Frame | undefined) => frame?.file === file && frame.line === line;
    const frame = await until(`the stop at ${file}:${line}`, look, at, limitMs);
    return frame!;
  }

  /** The variables that are unfolded to be seen, by name. */
  async variables(): Promise<Record<string, string>> {
    const rows = await this.#page
      .locator('.debug-variables .monaco-list-row .expression')
      .evaluateAll((all) =>
        all.map((row) => [
          row
            .querySelector('.name')
            ?.textContent?.replace(/[:=]\s*$/, '')
            .trim() ?? '',
          row.querySelector('.value')?.textContent ?? '',
        ]),
      );
    return Object.fromEntries(rows);
  }

  async addWatch(expression: string): Promise<void> {
    const pane = await this.#paneAction('.debug-watch', 'Add Expression');
    await pane.locator('.monaco-inputbox input').fill(expression);
    await this.#page.keyboard.press('Enter');
  }

  async removeAllBreakpoints(): Promise<void> {
    const pane = await this.#paneAction('.debug-breakpoints', 'Remove All Breakpoints');
    // The kinds of exceptions stay in the list.
    await pane.locator('.breakpoint:not(.exception)').first().waitFor({ state: 'detached' });
  }

  watches(): Promise<Record<string, string>> {
    return this.#expressions('.debug-watch');
  }

  /** The debug console's lines that are in sight. */
  console(): Promise<string[]> {
    return this.#page.locator('.repl .monaco-list-row').allInnerTexts();
  }

  async consoleShows(text: string, limitMs = PATIENCE_MS): Promise<void> {
    const has = (lines: string[]) => lines.some((line) => line.includes(text));
    const look = async () => {
      const lines = await this.console();
      if (has(lines) || (await this.#page.locator('.repl').count()) === 0) return lines;
      await this.#scrollConsole();
      return this.console();
    };
    await until(`"${text}" in the debug console`, look, has, limitMs);
  }

  /** To its end, by the wheel. It stays there by itself only as long as it is not slower than what is printed. */
  async #scrollConsole(): Promise<void> {
    const box = await this.#page.locator('.repl .monaco-list').first().boundingBox();
    if (!box) return;
    await this.#page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await this.#page.mouse.wheel(0, FAR_PX);
  }

  async openConsole(): Promise<void> {
    await this.workbench.command('Debug Console: Focus on Debug Console View');
  }

  /** Waits until the status bar says that the job is there. */
  async placeIs(node: string): Promise<void> {
    const look = async () => (await this.#place.allInnerTexts()).map((text) => text.trim());
    await until('its node in the status bar', look, (places) => places.length === 1 && places[0] === node);
  }

  /** Waits until there is no session. */
  async ended(limitMs = PATIENCE_MS): Promise<void> {
    await this.toolbar.waitFor({ state: 'hidden', timeout: limitMs });
    await until(
      'an empty call stack',
      () => this.frames(),
      (frames) => frames.length === 0,
    );
    await this.#place.waitFor({ state: 'hidden', timeout: limitMs });
  }

  /** A pane's buttons are there while the mouse is over it. */
  async #paneAction(content: string, title: string): Promise<Locator> {
    const pane = this.#page.locator('.pane', { has: this.#page.locator(content) });
    await pane.hover();
    await pane.locator(`a.action-label[aria-label^="${title}"]`).click();
    return pane;
  }

  async #expressions(tree: string): Promise<Record<string, string>> {
    const rows = await this.#page.locator(`${tree} .monaco-list-row .expression`).evaluateAll((all) =>
      all.map((row) => [
        row
          .querySelector('.name')
          ?.textContent?.replace(/[:=]\s*$/, '')
          .trim() ?? '',
        row.querySelector('.value')?.textContent?.trim() ?? '',
      ]),
    );
    return Object.fromEntries(rows);
  }
}
