/** What the command finds beside itself: the Node.js that runs agents, and the helper. */
import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { GodwitError } from '../api/errors';
import type { Programs } from '../lab/lab';

/** The agent keeps its journal in node:sqlite, as Node 24 has it. */
export const LEAST_AGENT_NODE = 24;
/** A program that is asked for its version answers at once; on a slow machine that does much else, gdb took a dozen seconds. */
const ASK_DEADLINE_MS = 60_000;

/** The Node.js that agents and keepers run on: this one if it is new enough, else the one among the modules or in PATH. */
export function findAgentNode(): string {
  // A desktop's VS Code is a Node.js only for those whom it has started as one.
  if (!process.versions.electron && isNewEnough(process.versions.node)) return process.execPath;
  const found = upwards((folder) => nodeIn(join(folder, 'node_modules'))) ?? nodeInPath();
  if (found) return found;
  throw new GodwitError({
    code: 'no-agent-node',
    message: `agents need Node.js ${LEAST_AGENT_NODE} or newer; this is ${process.version} and no other is among the modules or in PATH`,
    fix: `install Node.js ${LEAST_AGENT_NODE}, or run \`npm run setup\``,
  });
}

/** What a node runs: agent and keeper as they were built, and their Node.js. */
export function findPrograms(): Programs {
  // Where they are missing they are looked for in vain in the folder that they belong into.
  const built = (name: string) =>
    upwards((folder) => [join(folder, name), join(folder, 'dist', name)].find(existsSync)) ??
    join(__dirname, name);
  return { node: findAgentNode(), agent: built('agent.cjs'), keeper: built('keeper.cjs') };
}

/** The helper as it was built. */
export function findBuiltHelper(): string {
  const found = upwards((folder) =>
    [join(folder, 'godwit-helper'), join(folder, 'dist', 'godwit-helper')].find(isExecutable),
  );
  if (found) return found;
  throw new GodwitError({
    code: 'no-helper',
    message: 'the helper, dist/godwit-helper, is not there',
    fix: 'run `npm run build`',
  });
}

/** What runs when a live node boots: a folder beside the programs. */
export function findLiveScripts(): string {
  const found = upwards((folder) =>
    [join(folder, 'godwit-live'), join(folder, 'dist', 'godwit-live')].find(existsSync),
  );
  if (found) return found;
  throw new GodwitError({
    code: 'no-live-scripts',
    message: 'the folder godwit-live, with what runs when a live node boots, is not there',
    fix: 'install Godwit again, or run `npm run build`',
  });
}

/** The first that `look` finds in this file's folder or one above it. */
function upwards(look: (folder: string) => string | undefined): string | undefined {
  for (let folder = __dirname; ; folder = dirname(folder)) {
    const found = look(folder);
    if (found || folder === dirname(folder)) return found;
  }
}

function nodeIn(modules: string): string | undefined {
  const path = join(modules, `node-linux-${process.arch}`, 'bin', 'node');
  return isExecutable(path) ? path : undefined;
}

function nodeInPath(): string | undefined {
  const candidates = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'node'));
  return candidates.filter(isExecutable).find((node) => {
    try {
      const version = execFileSync(node, ['--version'], { encoding: 'utf8', timeout: ASK_DEADLINE_MS });
      return isNewEnough(version.replace(/^v/, ''));
    } catch {
      return false;
    }
  });
}

const isNewEnough = (version: string) => Number(version.split('.')[0]) >= LEAST_AGENT_NODE;

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
