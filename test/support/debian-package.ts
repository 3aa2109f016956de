/** The Debian package of a node, for tests. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './processes';
import { inProject } from './project';

/** Why there is none here; null where there is. */
export async function packageObstacle(): Promise<string | null> {
  const { status } = await run(['dpkg-deb', '--version']).catch(() => ({ status: 1 }));
  return status === 0 ? null : 'this machine makes no packages of Debian';
}

/** The package of what was built last: made in the folder, if `npm run package` has not. */
export async function debianPackage(folder: string): Promise<string> {
  const inFolder = (place: string) =>
    readdirSync(place)
      .filter((file) => /^godwit_.*\.deb$/.test(file))
      .map((file) => join(place, file));
  const built = statSync(inProject('dist', 'agent.cjs')).mtimeMs;
  const there = inFolder(inProject('dist')).find((file) => statSync(file).mtimeMs > built);
  if (there) return there;
  const { status, stderr } = await run(['bash', 'scripts/package.sh', folder], { cwd: inProject() });
  if (status !== 0) throw new Error(`no package could be made: ${stderr}`);
  return inFolder(folder)[0]!;
}
