/** The extension as it is given to people. */
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { inProject } from '../../support/project';

const Package = z.object({ name: z.string(), version: z.string() });

/** The .vsix that `npm run package` has made. @throws Error that says how to get it */
export function newestPackage(): string {
  const { name, version } = Package.parse(JSON.parse(readFileSync(inProject('package.json'), 'utf8')));
  const file = inProject('dist', `${name}-${version}.vsix`);
  if (!existsSync(file)) throw new Error(`${file} is not there: run \`npm run package\``);
  return file;
}
