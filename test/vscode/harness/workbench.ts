/** VS Code's workbench in a page, as a person uses it: the palette, dialogs, editors, the sidebar, messages. */
import type { Locator, Page } from 'playwright-core';
import { DebugView } from './debug-view';
import { PATIENCE_MS, until } from './wait';
import { WebviewPanel } from './webview-panel';

/** In which its parts come to rest: animations, the last data. */
const SETTLE_MS = 400;
/** What is typed leaves few. */
const MOST_ENTRIES = 50;
/** Less than the height of an editor's line. */
const LINE_PX = 10;
/** How often a breakpoint is asked for, and how long one that was taken may need to be drawn. */
const TOGGLES = 4;
const TOGGLED_MS = 15_000;
/** VS Code waits half a second before it shows one. */
const TOOLTIP_MS = 2_000;

export class Workbench {
  readonly debug: DebugView;

  private constructor(readonly page: Page) {
    this.debug = new DebugView(this);
  }

  /** @param view the title of the last view container that is to be there */
  static async open(page: Page, url: string, view = 'Explorer'): Promise<Workbench> {
    page.setDefaultTimeout(PATIENCE_MS);
    await page.goto(url);
    const workbench = new Workbench(page);
    await workbench.#ready(view);
    return workbench;
  }

  /** @param view as of `open` */
  async reload(view: string): Promise<void> {
    await this.page.reload();
    await this.#ready(view);
  }

  async #ready(view: string): Promise<void> {
    await this.page.locator('.monaco-workbench .part.statusbar').waitFor();
    // What extensions contribute is there once their views' icons are; until then a C file can't have breakpoints.
    await this.#viewIcon(view).waitFor();
  }

  // ---- Palette, quick picks, input boxes

  /** Runs a command by its title in the palette: "Godwit: Launch Job…". */
  async command(title: string): Promise<void> {
    await this.#openPalette(`>${title}`);
    await this.#choose(title);
  }

  /** Starts a configuration of launch.json, as soon as VS Code has read that. */
  async startDebugging(configuration: string): Promise<void> {
    const open = async () => {
      await this.page.keyboard.press('Escape');
      await this.#openPalette(`debug ${configuration}`);
      return this.#labels();
    };
    await until(`the configuration "${configuration}"`, open, (labels) => labels.includes(configuration));
    await this.#choose(configuration);
  }

  /** Types what quick open understands: a file's name, `file:line`, `:line`. */
  async quickOpen(text: string): Promise<void> {
    await this.#openPalette(text);
    await this.page.locator('.quick-input-list .monaco-list-row').first().waitFor();
    await this.page.keyboard.press('Enter');
    await this.page.locator('.quick-input-widget').waitFor({ state: 'hidden' });
  }

  /**
   * Types a label into the quick pick that is open or about to open, and takes the entry that has it.
   * @param asked part of the quick pick's title or placeholder, by which it is told from the one before
   */
  async pick(asked: string, label: string): Promise<void> {
    await this.asked(asked);
    await this.#input.fill(label);
    await this.#choose(label);
  }

  /** The entries of the quick pick, each with its description. */
  async picks(): Promise<string[]> {
    const rows = this.page.locator('.quick-input-list .monaco-list-row');
    await rows.first().waitFor();
    return rows.evaluateAll((all) => all.map((row) => row.getAttribute('aria-label') ?? ''));
  }

  /**
   * Answers the input box that is open or about to open.
   * @param asked part of its prompt, placeholder or title, by which it is told from the one before
   */
  async answer(asked: string, text: string): Promise<void> {
    await this.asked(asked);
    await this.#input.fill(text);
    await this.#input.press('Enter');
  }

  /** Waits for the quick pick or input box that asks this. */
  async asked(what: string): Promise<void> {
    const widget = this.page.locator('.quick-input-widget:visible');
    const look = async () => {
      if ((await widget.count()) === 0) return '';
      const parts = await widget.locator('.quick-input-title, .quick-input-message').allInnerTexts();
      const placeholder = await this.#input.getAttribute('placeholder');
      return [...parts, placeholder].filter(Boolean).join(' | ');
    };
    await until(`an input that asks for "${what}"`, look, (text) => text.includes(what));
  }

  /** What the input box says about the text in it. */
  async inputMessage(): Promise<string> {
    return (await this.page.locator('.quick-input-widget .quick-input-message').allInnerTexts()).join(' ');
  }

  // ---- Editors

  /** Opens a file of the workspace with the cursor on a line, from 1. */
  async goto(file: string, line: number): Promise<void> {
    await this.quickOpen(`${file}:${line}`);
    await this.page.locator('.tab.active', { hasText: file }).waitFor();
  }

  async setBreakpoint(file: string, line: number): Promise<void> {
    await this.goto(file, line);
    // A new window takes it for nothing until it knows of an extension that debugs the file's language.
    for (let tries = TOGGLES; tries > 1; tries--) {
      await this.command('Debug: Toggle Breakpoint');
      const shown = await this.#breakpointShown(TOGGLED_MS).then(
        () => true,
        () => false,
      );
      if (shown) return;
    }
    await this.command('Debug: Toggle Breakpoint');
    await this.#breakpointShown();
  }

  async conditionalBreakpoint(file: string, line: number, condition: string): Promise<void> {
    await this.goto(file, line);
    await this.command('Debug: Add Conditional Breakpoint...');
    const widget = this.page.locator('.breakpoint-widget');
    // It is there a moment before it has the keyboard.
    await widget.locator('.monaco-editor.focused').waitFor();
    await this.page.keyboard.type(condition);
    await this.page.keyboard.press('Enter');
    await widget.waitFor({ state: 'hidden' });
    await this.#breakpointShown();
  }

  // ---- The activity bar, the sidebar

  /** Opens a view container by its title in the activity bar. */
  async openView(title: string): Promise<void> {
    const item = this.#viewIcon(title);
    await item.waitFor();
    if (!(await item.getAttribute('class'))?.includes('checked')) await item.click();
    await this.restMouse();
  }

  /** The rows of the trees in the sidebar. */
  get rows(): Locator {
    return this.page.locator('.part.sidebar .pane-body .monaco-list-row');
  }

  /** Those rows as they read: indentation, label and description. */
  async tree(): Promise<string[]> {
    return this.rows.evaluateAll((all) =>
      all.map((row) => {
        const level = Number(row.getAttribute('aria-level') ?? 1);
        const text = (row.textContent ?? '').replace(/\s+/g, ' ').trim();
        return `${'  '.repeat(level - 1)}${text}`;
      }),
    );
  }

  row(text: string): Locator {
    return this.rows.filter({ hasText: text }).first();
  }

  /** Chooses from the context menu of a row. */
  async contextMenu(row: Locator, entry: string): Promise<void> {
    await row.click({ button: 'right' });
    const chosen = this.page.locator('.monaco-menu .action-label', { hasText: entry }).first();
    await chosen.waitFor();
    // A menu that has just opened takes no click, lest the one that opened it count twice.
    await this.page.waitForTimeout(SETTLE_MS);
    await chosen.click();
  }

  // ---- Messages

  /** The messages that are on the screen now. */
  async messages(): Promise<string[]> {
    return this.page.locator('.notification-toast .notification-list-item-message').allInnerTexts();
  }

  /** Waits for a message with this text. */
  async message(text: string, limitMs = PATIENCE_MS): Promise<Locator> {
    const toast = this.page.locator('.notification-toast', { hasText: text }).first();
    try {
      await toast.waitFor({ timeout: limitMs });
    } catch {
      const seen = [...(await this.messages()), ...(await this.dialog())].join(' | ') || 'none';
      throw new Error(`no message with "${text}" came within ${limitMs} ms; there are: ${seen}`);
    }
    return toast;
  }

  async clearMessages(): Promise<void> {
    await this.command('Notifications: Clear All Notifications');
  }

  /** The text of a modal dialog, if one is open. */
  async dialog(): Promise<string[]> {
    return this.page.locator('.monaco-dialog-box .dialog-message-container').allInnerTexts();
  }

  /** Waits for a text in a message or in a modal dialog, closes that, and answers with all that it said. */
  async told(text: string, limitMs = PATIENCE_MS): Promise<string> {
    const look = async () => [...(await this.messages()), ...(await this.dialog())];
    const has = (said: string[]) => said.some((one) => one.includes(text));
    const said = (await until(`"${text}"`, look, has, limitMs)).find((one) => one.includes(text))!;
    if ((await this.dialog()).length > 0) await this.page.keyboard.press('Escape');
    else await this.clearMessages();
    return said;
  }

  async press(button: string, within: Locator = this.page.locator('body')): Promise<void> {
    await within.locator('.monaco-button', { hasText: button }).first().click();
  }

  // ---- Webviews

  /** The webview in the tab with this title; it must be the active tab of its group. */
  webview(title: string): WebviewPanel {
    return new WebviewPanel(this, title);
  }

  /** What is said of whatever the pointer is over. */
  get hover(): Locator {
    return this.page.locator('.monaco-hover:visible');
  }

  /**
   * Points at the beginning of a row's label until its tooltip is good; returns its text. Where one was called off, as by a
   * row that came meanwhile, the next comes only when the mouse has left the row and is back.
   */
  async tooltip(label: Locator, good: (text: string) => boolean): Promise<string> {
    const seen = async () => (await this.hover.allInnerTexts()).join();
    const before = await seen();
    if (good(before)) return before;
    // One of what was clicked before would be taken for the row's. It may outlast the mouse, but no key.
    if (before !== '') await this.page.keyboard.press('Escape');
    const look = async () => {
      if (!(await this.hover.first().isVisible())) {
        await this.restMouse();
        // Its middle may be behind the row's buttons.
        await label.hover({ position: { x: 1, y: 5 } });
        await this.page.waitForTimeout(TOOLTIP_MS);
      }
      return seen();
    };
    return until('the tooltip', look, good);
  }

  /** To where nothing is said of what it points at: the middle of the status bar. */
  async restMouse(): Promise<void> {
    const { width, height } = this.page.viewportSize()!;
    await this.page.mouse.move(width / 2, height - 10);
  }

  // ---- Pictures

  /** What the workbench shows, once it has come to rest. */
  async picture(path: string): Promise<void> {
    await this.page.waitForTimeout(SETTLE_MS);
    await this.page.screenshot({ path, animations: 'disabled', caret: 'hide' });
  }

  get #input(): Locator {
    return this.page.locator('.quick-input-widget .quick-input-box input');
  }

  async #openPalette(text: string): Promise<void> {
    await this.page.keyboard.press('F1');
    await this.#input.waitFor();
    await this.#input.fill(text);
  }

  /** Of the entries in the quick pick. */
  #labels(): Promise<string[]> {
    return this.page.locator('.quick-input-list .monaco-list-row .label-name').allInnerTexts();
  }

  /** By the keyboard: entries that come in late move the others under the mouse. */
  async #choose(label: string): Promise<void> {
    const focused = this.page.locator('.quick-input-list .monaco-list-row.focused .label-name');
    const has = (seen: string[]) => seen.includes(label);
    await until(`an entry "${label}"`, () => this.#labels(), has);
    for (let tries = 0; tries < MOST_ENTRIES; tries++) {
      if (has(await focused.allInnerTexts())) return this.page.keyboard.press('Enter');
      await this.page.keyboard.press('ArrowDown');
    }
    throw new Error(`the keyboard does not come to the entry "${label}"`);
  }

  /** The cursor's line has one in the margin, of whatever kind. */
  async #breakpointShown(limitMs?: number): Promise<void> {
    const cursor = this.page.locator('.editor-group-container.active .monaco-editor .cursor').first();
    const glyphs = this.page.locator(
      '.editor-group-container.active .glyph-margin-widgets [class*="debug-"]',
    );
    const tops = () =>
      glyphs.evaluateAll((all) => all.map((glyph) => Math.round(glyph.getBoundingClientRect().top)));
    const line = Math.round((await cursor.boundingBox())!.y);
    const there = (seen: number[]) => seen.some((top) => Math.abs(top - line) < LINE_PX);
    await until(`a breakpoint in the margin at ${line} px`, tops, there, limitMs);
  }

  #viewIcon(title: string): Locator {
    const label = this.page.locator(`a.action-label[aria-label^="${title}"]`);
    return this.page.locator('.activitybar .action-item').filter({ has: label });
  }
}
