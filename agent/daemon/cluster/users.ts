/** The users who may ask this node's agent, from the machine's own directory of users (getent(1), id(1)). */
import type { User } from '../../api/model';
import type { Log } from '../../log';
import { execute } from '../../machine/execution';

/** A directory of users may be asked over the network. */
const ASK_DEADLINE_MS = 10_000;

interface Admitted {
  /** Names or numbers. */
  users: readonly string[];
  /** Groups whose members are admitted; one that isn't there has none. */
  groups: readonly string[];
}

/** Each once, without root. Those who are not known here are logged and left out. */
export async function readUsers({ users, groups }: Admitted, log: Log): Promise<User[]> {
  const members = (await Promise.all(groups.map(membersOf))).flat();
  const found = new Map<number, User>();
  for (const name of new Set([...users, ...members])) {
    try {
      const user = await readUser(name);
      if (user.uid !== 0) found.set(user.uid, user);
    } catch (error) {
      log(`user ${name} is not admitted: ${(error as Error).message.trim()}`);
    }
  }
  return [...found.values()];
}

async function readUser(wanted: string): Promise<User> {
  const { stdout } = await ask('getent', ['passwd', '--', wanted]);
  const [name = '', , uid, gid] = stdout.trim().split(':');
  const { stdout: groups } = await ask('id', ['-G', '--', name]);
  return { name, uid: Number(uid), gid: Number(gid), groups: groups.trim().split(/\s+/).map(Number) };
}

async function membersOf(group: string): Promise<string[]> {
  const found = await ask('getent', ['group', '--', group]).catch(() => null);
  return found?.stdout.trim().split(':')[3]?.split(',').filter(Boolean) ?? [];
}

const ask = (program: string, args: string[]) => execute(program, args, { timeout: ASK_DEADLINE_MS });
