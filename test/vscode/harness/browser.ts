/** A headless browser that works in a place. */
import { type BrowserContext, chromium } from 'playwright-core';
import { findBrowser } from './installation';
import type { Place } from './place';

/** A start on a machine that does much else. */
const START_MS = 60_000;
export const VIEWPORT = { width: 1440, height: 900 };

export function openBrowser(place: Place): Promise<BrowserContext> {
  return chromium.launchPersistentContext(place.make('browser'), {
    executablePath: findBrowser(),
    artifactsDir: place.make('browser-artifacts'),
    env: place.environment(),
    timeout: START_MS,
    viewport: VIEWPORT,
    // Ctrl-C is for whoever has opened it to deal with.
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
