/** The extension in a real extension host. */
import { expect, test } from 'vitest';
import { runSuite } from './harness/suite';

const SUITE_MS = 300_000;
/** VS Code takes some seconds to give an extension host up. */
const DYING_MS = 60_000;

test('the extension does in the extension host what it should', { timeout: SUITE_MS }, async () => {
  const report = await runSuite({ suite: 'suite.cjs' });
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
