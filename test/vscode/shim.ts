/**
 * Looks like the `code` program to @vscode/test-electron, and runs a test suite in the extension host of a VS Code
 * server whose workbench is in a headless browser. Where there is a desktop VS Code the same suite runs in that.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { openBrowser } from './harness/browser';
import { VscodeServer } from './harness/server';
import { TestFolder } from './harness/test-folder';

/** So long may a suite take; who runs it asks for its report, so that an end like this is seen as what it is. */
const LIMIT_MS = Number(process.env.GODWIT_SUITE_LIMIT_MS ?? 300_000);
const LATE = 98;
const SERVER_ENDED = 97;

const { values, positionals } = parseArgs({
  // The many others are for a desktop's window.
  strict: false,
  allowPositionals: true,
  options: {
    extensionDevelopmentPath: { type: 'string', multiple: true },
    extensionTestsPath: { type: 'string' },
  },
});

async function main(): Promise<number> {
  const testFolder = new TestFolder('godwit-suite');
  try {
    const ours = Object.entries(process.env).flatMap(([name, value]) =>
      name.startsWith('GODWIT_') && value !== undefined ? [[name, value] as const] : [],
    );
    const server = await VscodeServer.start(testFolder, {
      env: Object.fromEntries(ours),
      // Without it the workbench ignores the `payload` below.
      args: ['--enable-smoke-test-driver'],
    });
    const browser = await openBrowser(testFolder);
    const page = browser.pages()[0] ?? (await browser.newPage());
    const exit = new Promise<number>((done) => void page.exposeFunction('codeAutomationExit', done));
    await page.exposeFunction('codeAutomationLog', (_type: string, args: unknown[]) => {
      if (process.env.GODWIT_SUITE_VERBOSE) console.error(...args);
    });
    await page.goto(suiteUrl(server));
    const late = new Promise<number>((done) => setTimeout(done, LIMIT_MS, LATE).unref());
    const ended = server.ended.then(() => SERVER_ENDED);
    return await Promise.race([exit, ended, late]);
  } finally {
    await testFolder.close();
  }
}

function suiteUrl(server: VscodeServer): string {
  const remote = (path: string | boolean | undefined) => server.remote(resolve(String(path)));
  const payload = [
    ...(values.extensionDevelopmentPath ?? []).map((path) => ['extensionDevelopmentPath', remote(path)]),
    ['extensionTestsPath', remote(values.extensionTestsPath)],
    ['skipWelcome', 'true'],
    ['skipReleaseNotes', 'true'],
  ];
  const folder = positionals[0];
  return server.url(folder && resolve(folder), { payload: JSON.stringify(payload) });
}

void main().then(
  (status) => process.exit(status),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
