/** A node of its own, outside of any lab: a configuration, certificates and folders, and the `godwit agent` that runs it. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { issueCertificate, makeAuthority } from '../../agent/machine/certificates/authority';
import { parseMounts } from '../../agent/machine/proc/parse';
import { freePort } from './free-port';
import { type Outcome, processesOf, run } from './processes';
import { inProject } from './project';

export interface NodePlace {
  name: string;
  port: number;
  /** The folder of its configuration. */
  configuration: string;
  state: string;
  sockets: string;
}

/**
 * Writes what agents need to start, each other's members, and returns their configuration files; `root` is that of the
 * machine which they are on.
 */
export async function configureNodes(places: NodePlace[], root = ''): Promise<string[]> {
  const authority = await makeAuthority(`${root}${places[0]!.configuration}/ca`, 'test');
  const members = places.map(({ name, port }) => ({ name, address: '127.0.0.1', port }));
  const within = (path: string) => path.slice(root.length);
  return Promise.all(
    places.map(async ({ name, port, configuration, state, sockets }) => {
      const tls = await issueCertificate(authority, `${root}${configuration}/tls`, name);
      const file = join(configuration, 'agent.json');
      const config = {
        ...{ name, state, cgroup: name, members, listen: { host: '127.0.0.1', port } },
        ...{ socket: join(sockets, 'agent.sock'), keeperSocket: join(sockets, 'keeper.sock') },
        userSockets: join(sockets, 'user'),
        tls: { ca: within(tls.ca), cert: within(tls.cert), key: within(tls.key) },
      };
      writeFileSync(`${root}${file}`, JSON.stringify(config, null, 2), { mode: 0o600 });
      return file;
    }),
  );
}

/** Where a node is that has a machine for itself. */
export const USUAL_PLACE: NodePlace = {
  ...{ name: 'first', port: 7420, configuration: '/etc/godwit' },
  ...{ state: '/var/lib/godwit/node', sockets: '/run/godwit' },
};

/** One on this machine, in a folder of its own. */
export class LoneNode {
  private constructor(
    readonly name: string,
    readonly folder: string,
    readonly config: string,
  ) {}

  static async make(name: string): Promise<LoneNode> {
    const folder = mkdtempSync(join(tmpdir(), 'godwit-node-'));
    const place = {
      name,
      port: await freePort(),
      configuration: join(folder, 'etc'),
      state: join(folder, 'state'),
      sockets: join(folder, 'run'),
    };
    return new LoneNode(name, folder, (await configureNodes([place]))[0]!);
  }

  get socket() {
    return join(this.folder, 'run', 'agent.sock');
  }

  /** `godwit agent --config … OPTION…` to its end. */
  agent(...options: string[]): Promise<Outcome> {
    return run([
      process.execPath,
      inProject('dist', 'godwit.cjs'),
      'agent',
      '--config',
      this.config,
      ...options,
    ]);
  }

  /** The process that one of its files names. */
  pid(of: 'agent' | 'supervisor' | 'keeper'): number {
    return Number(readFileSync(join(this.folder, 'state', `${of}.pid`), 'utf8').split(' ')[0]);
  }

  /** What there is of it outside of its configuration and its state: processes, sockets, cgroups. */
  traces(): string[] {
    const sockets = join(this.folder, 'run');
    return [
      ...processesOf(this.folder).map((argv) => argv.join(' ')),
      ...(existsSync(sockets) ? readdirSync(sockets) : []),
      ...findGroups()
        .map((folder) => join(folder, 'godwit', this.name))
        .filter(existsSync),
    ];
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Where cgroups of either version are mounted. */
function findGroups(): string[] {
  const mounts = parseMounts(readFileSync('/proc/self/mountinfo', 'utf8'));
  return mounts.filter(({ type }) => /^cgroup2?$/.test(type)).map(({ at }) => at);
}
