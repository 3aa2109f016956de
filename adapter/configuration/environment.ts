/** The environment that a launched program gets. */
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { noEnvFile } from '../errors';
import type { LaunchArguments } from './arguments';

/**
 * This process's own, without what the editor put in for its helpers, and with what was asked for.
 * @throws GodwitError `no-env-file`
 */
export function environment(
  wanted: LaunchArguments['env'],
  file: string | undefined,
  from: NodeJS.ProcessEnv = process.env,
): Record<string, string> {
  const own = Object.entries(from).filter(([name]) => !/^(ELECTRON_|VSCODE_)/.test(name));
  const all = Object.entries({ ...Object.fromEntries(own), ...fileVariables(file), ...wanted });
  return Object.fromEntries(all.filter((pair): pair is [string, string] => typeof pair[1] === 'string'));
}

function fileVariables(file: string | undefined): Record<string, string | undefined> {
  if (file === undefined) return {};
  try {
    return parseEnv(readFileSync(file, 'utf8'));
  } catch (error) {
    throw noEnvFile(file, (error as Error).message);
  }
}
