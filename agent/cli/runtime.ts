/** What the command finds beside itself: the Node.js that runs agents, and the helper. */
import { accessSync, constants, existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { GodwitError } from '../api/errors';
import type { Programs } from '../lab/lab';

/** The agent keeps its journal in node:sqlite, as Node 24 has it. */
export const LEAST_AGENT_NODE = 24;

/** The Node.js that agents and keepers run on: this one if it is new enough, else the one among the modules. */
export function findAgentNode(): string {
  if (Number(process.versions.node.split('.')[0]) >= LEAST_AGENT_NODE) return process.execPath;
  const found = upwards((folder) => nodeIn(join(folder, 'node_modules')));
  if (found) return found;
  throw new GodwitError({
    code: 'no-agent-node',
    message: `agents need Node.js ${LEAST_AGENT_NODE} or newer; this is ${process.version} and no other is among the modules`,
    fix: `run \`npm run setup\`, or start the command with a newer Node.js`,
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

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
