/** The extension in a real extension host. */
import { afterAll, expect, test } from 'vitest';
import { Godwit } from '../support/godwit';
import { runSuite } from './harness/suite';

const SUITE_MS = 300_000;
/** What the suite brings up and takes down; a suite that does not come to its end leaves it. */
const LAB = `suite-${process.pid}`;
/** VS Code takes some seconds to give an extension host up. */
const DYING_MS = 60_000;

afterAll(async () => {
  if ((await Godwit.labNodes(LAB)).length > 0) await Godwit.labDown(LAB);
});

test('the extension does in the extension host what it should', { timeout: SUITE_MS }, async () => {
  const report = await runSuite({ suite: 'suite.cjs', env: { GODWIT_LAB: LAB } });
  expect(report.failed).toEqual([]);
  expect(report.skipped).toEqual([]);
  expect(report.passed.length).toBeGreaterThan(0);
});

test.for(['kill', 'exit'])(
  'an extension host that ends by %s is no success',
  { timeout: SUITE_MS },
  async (death) => {
    const dying = runSuite({ suite: 'dying.cjs', env: { GODWIT_SUITE_DEATH: death }, limitMs: DYING_MS });
    await expect(dying).rejects.toThrow('no report');
  },
);
