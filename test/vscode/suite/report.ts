/** Runs mocha in the extension host. */
import { renameSync, writeFileSync } from 'node:fs';
import Mocha from 'mocha';
import type { SuiteReport } from '../harness/suite';

/** A launch and a few moves on a machine that does much else. */
const TEST_MS = 120_000;

/** Writes the report that the process which started this VS Code waits for, once all tests are over. */
export function runMocha(define: () => void): Promise<void> {
  const file = process.env.GODWIT_SUITE_REPORT;
  if (!file) throw new Error('GODWIT_SUITE_REPORT does not say where the report goes');
  const mocha = new Mocha({ ui: 'bdd', timeout: TEST_MS, reporter: 'spec' });
  mocha.suite.emit('pre-require', globalThis as unknown as Mocha.MochaGlobals, '', mocha);
  define();
  const report: SuiteReport = { passed: [], failed: [], skipped: [] };
  return new Promise((resolve, reject) => {
    const runner = mocha.run((failures) => {
      writeFileSync(`${file}.new`, JSON.stringify(report));
      renameSync(`${file}.new`, file);
      if (failures > 0) reject(new Error(`${failures} failed`));
      else resolve();
    });
    runner.on('pass', (test) => report.passed.push(test.fullTitle()));
    runner.on('pending', (test) => report.skipped.push(test.fullTitle()));
    runner.on('fail', (test, error) =>
      report.failed.push({ test: test.fullTitle(), error: error.stack ?? error.message }),
    );
  });
}
