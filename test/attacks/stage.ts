/** A lab with people in it: two users whom its agents admit, and one whom they don't, all of Debian's own accounts. */
import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { z } from 'zod';
import type { AgentConfig } from '../../agent/api/config';
import { type FaultPoint, faultsFolder } from '../../agent/daemon/migration/fault-points';
import { nodePaths } from '../../agent/lab/description';
import { restartAgent } from '../../agent/lab/lab';
import { Godwit, type TestUser } from '../support/godwit';
import { membersKnownTo } from '../support/members';
import { inProject } from '../support/project';
import { untilWithin } from '../support/until';

/** Who attacks whom: Ann and Bob may launch jobs, Eve has an account on the machine and no more. */
const ACCOUNTS = { ann: 'games', bob: 'news', eve: 'man' } as const;
export type Person = keyof typeof ACCOUNTS;

const SOON_MS = 90_000;
/** Below a folder that every node of a lab sees. */
const FOLDERS = '/var/lib/godwit';

const numbers = (flag: string, name: string) =>
  execFileSync('id', [flag, name], { encoding: 'utf8' }).trim().split(' ').map(Number);

const answers = async (path: string): Promise<boolean> => {
  const socket = connect(path);
  try {
    return await once(socket, 'connect').then(
      () => true,
      () => false,
    );
  } finally {
    socket.destroy();
  }
};

const account = (name: string): TestUser => ({
  uid: numbers('-u', name)[0]!,
  gid: numbers('-g', name)[0]!,
  groups: numbers('-G', name),
});

export type Config = z.input<typeof AgentConfig>;

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
    [this.ann, this.bob, this.eve] = [this.asks('ann'), this.asks('bob'), this.asks('eve')];
  }

  static async up(name: string): Promise<Stage> {
    const lab = `${name}-${process.pid}`;
    mkdirSync(FOLDERS, { recursive: true });
    const folder = mkdtempSync(join(FOLDERS, 'attacks-'));
    try {
      chmodSync(folder, 0o1777);
      // The project's own folder may be closed to them.
      cpSync(inProject('dist', 'godwit.cjs'), join(folder, 'godwit.cjs'));
      // As from a careless shell: what agents keep must be closed to others by themselves.
      const mask = process.umask(0);
      const making = Godwit.labUp(lab, { temp: folder, users: [ACCOUNTS.ann, ACCOUNTS.bob] });
      process.umask(mask);
      const root = await making;
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

  /** Changes what a node is told, and starts its agent anew. */
  async configure(node: string, change: Record<string, unknown>): Promise<void> {
    const { config } = this.paths(node);
    writeFileSync(config, JSON.stringify({ ...JSON.parse(readFileSync(config, 'utf8')), ...change }));
    await restartAgent(this.lab, node);
    for (const person of ['ann', 'bob'] as const)
      await this.until('its users are served', () => answers(this.socketOf(person, node)));
  }

  /** From now on each node has its members by its configuration, not by joining. */
  async listMembers(): Promise<void> {
    const members = await membersKnownTo(this.paths('node1').state);
    for (const node of this.nodes) await this.configure(node, { members });
  }

  paths(node: string) {
    return nodePaths(this.lab, node);
  }

  log(node: string): string {
    return readFileSync(this.paths(node).agent.log, 'utf8');
  }

  configOf(node: string): Config {
    return JSON.parse(readFileSync(this.paths(node).config, 'utf8')) as Config;
  }

  /** Writes a node's configuration, given as it is to be or as what is made of it, and has its agent read it again. */
  async reconfigure(node: string, wanted: string | ((config: Config) => object)): Promise<void> {
    const { config, agent } = this.paths(node);
    const readings = () =>
      this.log(node).match(/: read again|the configuration stays as it was/g)?.length ?? 0;
    const before = readings();
    writeFileSync(config, typeof wanted === 'string' ? wanted : JSON.stringify(wanted(this.configOf(node))));
    process.kill(Number(readFileSync(agent.pidFile, 'utf8').split(' ')[0]), 'SIGHUP');
    await this.until(`${node} has read its configuration`, () => readings() > before);
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

  /** The agent of `node` will stand still when it comes by the point. */
  arm(node: string, point: FaultPoint): void {
    const folder = faultsFolder(this.paths(node).state);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, point), '');
  }

  /** Waits until it stands there. */
  stands(node: string, point: FaultPoint): Promise<void> {
    const reached = join(faultsFolder(this.paths(node).state), `${point}.reached`);
    return this.until(`${node} stands at ${point}`, () => existsSync(reached));
  }

  /** Lets it go, whether it stands somewhere or has yet to come by. */
  letGo(node: string): void {
    rmSync(faultsFolder(this.paths(node).state), { recursive: true, force: true });
  }

  /** @throws Error if `holds` does not come true */
  readonly until = untilWithin(SOON_MS);

  /** This person at a node, which becomes the home of what they launch. */
  asks(person: Person, node = 'node1'): Godwit {
    const context = { agent: this.socketOf(person, node), temp: this.folder, user: this.people[person] };
    return new Godwit(context, join(this.folder, 'godwit.cjs'));
  }
}
