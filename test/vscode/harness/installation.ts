/** Where `setup.sh vscode` has put VS Code, and which browser is on this machine. */
import { accessSync, constants, existsSync, readFileSync, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { z } from 'zod';
import { findAgentNode } from '../../../agent/command/runtime';
import { inProject } from '../../support/project';

const INSTALLED = '/var/lib/godwit/vscode';
const how = (which = '') => `run \`bash scripts/setup.sh vscode${which}\``;
/** As scripts/setup-vscode.sh looks for it. */
const BROWSERS = ['chromium', 'google-chrome-stable', 'google-chrome', 'chromium-browser'];

const Version = z.object({ vscode: z.string(), codeServer: z.string(), sha512: z.string() });
const Versions = z.object({ current: Version, minimum: Version });

/** The Node.js and the main file of a VS Code server: `$GODWIT_VSCODE=minimum` asks for the oldest that is supported. */
export function findServer(): { node: string; main: string } {
  const text = readFileSync(inProject('test', 'vscode', 'versions.json'), 'utf8');
  const oldest = process.env.GODWIT_VSCODE === 'minimum';
  const { vscode, codeServer } = Versions.parse(JSON.parse(text))[oldest ? 'minimum' : 'current'];
  const main = join(INSTALLED, codeServer, 'out', 'server-main.js');
  if (!existsSync(main))
    throw new Error(`no VS Code ${vscode} in ${INSTALLED}: ${how(oldest ? ' minimum' : '')}`);
  // As in the desktop's VS Code of that time the extension host has an older Node.js: the machine's own.
  return { main, node: oldest ? 'node' : findAgentNode() };
}

/** A browser's program. @throws Error that says how to get one */
export function findBrowser(): string {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const paths = BROWSERS.flatMap((name) => folders.map((folder) => join(folder, name)));
  const found = paths.find((path) => isExecutable(path) && !realpathSync(path).includes('/snap'));
  if (!found) throw new Error(`no Chromium on this machine: ${how()}`);
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
