/** A webview's own document, two frames below the workbench's. */
import type { FrameLocator, Locator } from 'playwright-core';
import type { Workbench } from './workbench';

export class WebviewPanel {
  constructor(
    private readonly workbench: Workbench,
    readonly title: string,
  ) {}

  get tab(): Locator {
    return this.workbench.page.locator('.tab', { hasText: this.title }).first();
  }

  /** Waits until it is there. */
  async opened(): Promise<void> {
    await this.tab.waitFor();
    await this.content.locator('body').waitFor();
  }

  /** Hidden webviews keep their frame; only a shown one is visible. */
  get content(): FrameLocator {
    return this.workbench.page.frameLocator('iframe.webview.ready:visible').frameLocator('#active-frame');
  }

  text(): Promise<string> {
    return this.content.locator('body').innerText();
  }
}
