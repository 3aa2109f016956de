/** The `godwit` command run by a user whom a lab admits. */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { labFolder } from '../../agent/lab/description';
import { Godwit } from './godwit';
import { inProject } from './project';

const idOf = (flag: string, account: string) =>
  Number(execFileSync('id', [flag, account], { encoding: 'utf8' }));

/** `folder` is opened for all: the command is copied there, for the project's own may be closed to them. */
export function godwitOf(account: string, lab: string, folder: string): Godwit {
  const temp = join(folder, 'temp');
  const command = join(folder, 'godwit.cjs');
  chmodSync(folder, 0o755);
  cpSync(inProject('dist', 'godwit.cjs'), command);
  mkdirSync(temp, { mode: 0o1777 });
  chmodSync(temp, 0o1777);
  const gid = idOf('-g', account);
  const user = { uid: idOf('-u', account), gid, groups: [gid] };
  const agent = join(labFolder(lab), 'node1', 'user', `${user.uid}`);
  return new Godwit({ agent, temp, user }, command);
}
