/** A whole VS Code for a test: its folder, its server with the extension in it, a browser, the workbench. */
import { mkdirSync, writeFileSync } from 'node:fs';
import type { BrowserContext } from 'playwright-core';
import { inProject } from '../../support/project';
import { openBrowser } from './browser';
import { type ServerOptions, VscodeServer } from './server';
import { TestFolder } from './test-folder';
import { Workbench } from './workbench';

export interface VscodeOptions extends ServerOptions {
  /** The folder to open. */
  folder?: string;
  /** The title of a view container that the extension contributes. */
  view?: string;
  /** A command that takes down what it leaves outside of itself, such as a lab. */
  atEnd?: string[];
}

export class Vscode {
  readonly #said: string[] = [];

  private constructor(
    readonly testFolder: TestFolder,
    readonly server: VscodeServer,
    readonly browser: BrowserContext,
    readonly workbench: Workbench,
  ) {}

  static async open({ folder, atEnd, view, ...options }: VscodeOptions): Promise<Vscode> {
    const testFolder = new TestFolder('godwit-vscode', atEnd);
    try {
      const server = await VscodeServer.start(testFolder, options);
      const browser = await openBrowser(testFolder);
      const page = browser.pages()[0] ?? (await browser.newPage());
      const workbench = await Workbench.open(page, server.url(folder), view);
      const vscode = new Vscode(testFolder, server, browser, workbench);
      page.on('console', (message) => vscode.#said.push(`${message.type()} ${message.text()}`));
      return vscode;
    } catch (error) {
      await testFolder.close();
      throw error;
    }
  }

  /** Keeps what there is to see of a failure: test-results/NAME/. */
  async keep(name: string): Promise<string> {
    const folder = inProject('test-results', name.replace(/[^\w-]+/g, '-'));
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${folder}/server.log`, this.server.log);
    writeFileSync(`${folder}/browser.log`, this.#said.join('\n'));
    await this.workbench.picture(`${folder}/workbench.png`);
    return folder;
  }

  async close(): Promise<void> {
    await this.browser.close().catch(() => {});
    await this.testFolder.close();
  }
}
