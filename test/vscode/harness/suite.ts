/** Runs a mocha suite inside a real extension host, and believes nothing but its report. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { runTests } from '@vscode/test-electron';
import { z } from 'zod';
import { inProject } from '../../support/project';
import { TestFolder } from './test-folder';

/** What suite/report.ts writes when the last test is over. */
export const SuiteReport = z.object({
  passed: z.array(z.string()),
  failed: z.array(z.object({ test: z.string(), error: z.string() })),
  skipped: z.array(z.string()),
});
export type SuiteReport = z.infer<typeof SuiteReport>;

export interface SuiteOptions {
  /** A bundle in dist/test/. */
  suite: string;
  /** The folder to open. */
  folder?: string;
  env?: Record<string, string>;
  limitMs?: number;
}

/**
 * An extension host that was killed, or left by process.exit, is told by VS Code as an exit with 0: only the report says
 * that tests have passed.
 * @throws Error unless there is a report, with a test that passed
 */
export async function runSuite({ suite, folder, env, limitMs }: SuiteOptions): Promise<SuiteReport> {
  const testFolder = new TestFolder('godwit-report');
  const file = join(testFolder.folder, 'report.json');
  const said: string[] = [];
  const output = new Writable({
    write: (chunk, _, done) => {
      said.push(String(chunk));
      done();
    },
  });
  try {
    const status = await runTests({
      vscodeExecutablePath: inProject('dist', 'test', 'shim.cjs'),
      extensionDevelopmentPath: inProject(),
      extensionTestsPath: inProject('dist', 'test', suite),
      launchArgs: folder ? [folder] : [],
      // Or it would make a profile for a desktop's VS Code beside the project.
      reuseMachineInstall: true,
      stdout: output,
      stderr: output,
      extensionTestsEnv: {
        ...env,
        GODWIT_SUITE_REPORT: file,
        ...(limitMs ? { GODWIT_SUITE_LIMIT_MS: String(limitMs) } : {}),
      },
    }).catch((error: unknown) => String(error));
    if (!existsSync(file))
      throw new Error(`the suite left no report; VS Code ended with ${status}; it said: ${said.join('')}`);
    const report = SuiteReport.parse(JSON.parse(readFileSync(file, 'utf8')));
    if (report.passed.length === 0 && report.failed.length === 0)
      throw new Error('the suite ran no test at all');
    return report;
  } finally {
    await testFolder.close();
  }
}
