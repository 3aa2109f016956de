/** Where `setup.sh vscode` has put VS Code, and which browser is on this machine. */
import { accessSync, constants, existsSync, readFileSync, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { z } from 'zod';
import { inProject } from '../../support/project';

const INSTALLED = '/var/lib/godwit/vscode';
const HOW = 'run `bash scripts/setup.sh vscode`';
/** As scripts/setup-vscode.sh looks for it. */
const BROWSERS = ['chromium', 'google-chrome-stable', 'google-chrome', 'chromium-browser'];

const Version = z.object({ vscode: z.string(), codeServer: z.string(), sha512: z.string() });
const Versions = z.object({ current: Version, minimum: Version });
export type VscodeVersion = keyof z.infer<typeof Versions>;

function version(name: VscodeVersion): z.infer<typeof Version> {
  const text = readFileSync(inProject('test', 'vscode', 'versions.json'), 'utf8');
  return Versions.parse(JSON.parse(text))[name];
}

/** The main file of a VS Code server. @throws Error that says how to get it */
export function findServer(name: VscodeVersion = 'current'): string {
  const { vscode, codeServer } = version(name);
  const main = join(INSTALLED, codeServer, 'out', 'server-main.js');
  if (!existsSync(main)) throw new Error(`VS Code ${vscode} is not in ${INSTALLED}/${codeServer}: ${HOW}`);
  return main;
}

/** @throws Error that says how to get one */
export function findBrowser(): string {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const paths = BROWSERS.flatMap((name) => folders.map((folder) => join(folder, name)));
  const found = paths.find((path) => isExecutable(path) && !realpathSync(path).includes('/snap'));
  if (!found) throw new Error(`no Chromium on this machine: ${HOW}`);
  return found;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
