/** A lab with people in it: two users whom its agents admit, and one whom they don't, all of Debian's own accounts. */
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { nodePaths } from '../../agent/lab/description';
import { Godwit, type TestUser } from '../support/godwit';
import { inProject } from '../support/project';

/** Who attacks whom: Ann and Bob may launch jobs, Eve has an account on the machine and no more. */
const ACCOUNTS = { ann: 'games', bob: 'news', eve: 'man' } as const;
export type Person = keyof typeof ACCOUNTS;

const SOON_MS = 90_000;
const POLL_MS = 20;
/** Below a folder that every node of a lab sees. */
const FOLDERS = '/var/lib/godwit';

const numbers = (flag: string, name: string) =>
  execFileSync('id', [flag, name], { encoding: 'utf8' }).trim().split(' ').map(Number);

const account = (name: string): TestUser => ({
  uid: numbers('-u', name)[0]!,
  gid: numbers('-g', name)[0]!,
  groups: numbers('-G', name),
});

interface Outcome {
  status: number;
  stdout: string;
  stderr: string;
}

export class Stage {
  readonly nodes = ['node1', 'node2', 'node3'] as const;
  readonly people: Record<Person, TestUser> = {
    ann: account(ACCOUNTS.ann),
    bob: account(ACCOUNTS.bob),
    eve: account(ACCOUNTS.eve),
  };
  readonly ann: Godwit;
  readonly bob: Godwit;
  /** What she gets by asking where users ask. */
  readonly eve: Godwit;

  private constructor(
    readonly lab: string,
    /** For what a test makes: everybody may write there, and each person has a folder of 0700, named like them. */
    readonly folder: string,
    readonly root: Godwit,
  ) {
    [this.ann, this.bob, this.eve] = [this.#asks('ann'), this.#asks('bob'), this.#asks('eve')];
  }

  static async up(name: string): Promise<Stage> {
    const lab = `${name}-${process.pid}`;
    mkdirSync(FOLDERS, { recursive: true });
    const folder = mkdtempSync(join(FOLDERS, 'attacks-'));
    try {
      chmodSync(folder, 0o1777);
      // The project's own folder may be closed to them.
      cpSync(inProject('dist', 'godwit.cjs'), join(folder, 'godwit.cjs'));
      const root = await Godwit.labUp(lab, { temp: folder, users: [ACCOUNTS.ann, ACCOUNTS.bob] });
      const stage = new Stage(lab, folder, root);
      for (const person of Object.keys(ACCOUNTS) as Person[])
        await stage.as(person, 'mkdir', '-m', '700', join(folder, person));
      return stage;
    } catch (error) {
      await Godwit.labDown(lab);
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  async down(): Promise<void> {
    await Godwit.labDown(this.lab);
    rmSync(this.folder, { recursive: true, force: true });
  }

  paths(node: string) {
    return nodePaths(this.lab, node);
  }

  /** Where this person's requests go on a node; Eve has no socket there. */
  socketOf(person: Person, node = 'node1'): string {
    return join(this.paths(node).userSockets, `${this.people[person].uid}`);
  }

  /** Runs a program as this person, with their groups and no rights besides. */
  async as(person: Person, ...argv: [string, ...string[]]): Promise<Outcome> {
    const { uid, gid, groups } = this.people[person];
    const numbersOf = ['--reuid', `${uid}`, '--regid', `${gid}`, '--groups', groups.join()];
    const options = { cwd: this.folder, env: { PATH: process.env.PATH, HOME: this.folder } };
    return promisify(execFile)('setpriv', [...numbersOf, '--no-new-privs', '--', ...argv], options).then(
      ({ stdout, stderr }) => ({ status: 0, stdout, stderr }),
      ({ code, stdout, stderr }) => ({ status: code ?? -1, stdout, stderr }),
    );
  }

  /** @throws Error if `holds` does not come true */
  async until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
    for (const end = performance.now() + SOON_MS; !(await holds()); await sleep(POLL_MS))
      if (performance.now() > end) throw new Error(`not so within ${SOON_MS} ms: ${what}`);
  }

  #asks(person: Person): Godwit {
    const context = { agent: this.socketOf(person), temp: this.folder, user: this.people[person] };
    return new Godwit(context, join(this.folder, 'godwit.cjs'));
  }
}
