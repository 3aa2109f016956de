/** A headless browser that works in a test folder. */
import { type BrowserContext, chromium } from 'playwright-core';
import { findBrowser } from './installation';
import type { TestFolder } from './test-folder';

/** A start on a machine that does much else. */
const START_MS = 60_000;
export const VIEWPORT = { width: 1440, height: 900 };

export function openBrowser(testFolder: TestFolder): Promise<BrowserContext> {
  return chromium.launchPersistentContext(testFolder.make('browser'), {
    executablePath: findBrowser(),
    artifactsDir: testFolder.make('browser-artifacts'),
    env: testFolder.environment(),
    timeout: START_MS,
    viewport: VIEWPORT,
    // Ctrl-C is for its opener to deal with.
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
    args: [
      // Chromium's own sandbox refuses root; all that it shows here is this machine's own.
      ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
      ...['--disable-dev-shm-usage', '--force-color-profile=srgb'],
    ],
  });
}
