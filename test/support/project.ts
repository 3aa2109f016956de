/** Where things are in the project, from a source file as from a bundle in dist/. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

function findProject(): string {
  for (let folder = __dirname; folder !== dirname(folder); folder = dirname(folder))
    if (existsSync(join(folder, 'package.json'))) return folder;
  throw new Error(`no package.json at or above ${__dirname}`);
}

export const inProject = (...parts: string[]) => join(findProject(), ...parts);
