/**
 * A home's files mounted on this machine, as a node mounts them, with a link that a test can cut. The link is carried
 * by the test's own process: what looks into the mount synchronously waits for itself.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJson, parseWith } from '../../agent/api/schema';
import { unmountHome } from '../../agent/machine/homefs/control';
import {
  HomefsMessage,
  mountCommand,
  type ServeOrder,
  serveCommand,
} from '../../agent/machine/homefs/program';
import { end, launch } from './processes';
import { inProject } from './project';
import { WireLink } from './wire-link';

const ROOT = { uid: 0, gid: 0, groups: [] };
/** So that what a test starts is the job. */
const ownCgroup = () => /^0::(.*?)\/?$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '';

export type MountedHomeOptions = Partial<Pick<ServeOrder, 'user' | 'without'>> & {
  descriptors?: number;
  cgroup?: string;
};

export class MountedHome {
  static readonly program = inProject('dist', 'godwit-homefs');
  /** Where the home's files are seen. */
  readonly at: string;
  /** Where the mount tells how long the home was waited for. */
  readonly delayed: string;
  readonly link: WireLink;
  readonly sockets: { serve: string; mount: string };
  mount!: ChildProcess;
  server!: ChildProcess;
  readonly #order: ServeOrder;
  readonly #cgroup: string;
  readonly #limit: string[];

  /**
   * `root`: the folder whose content is served; `folder`: for sockets and the mount; `descriptors`: how many files the
   * server may have open; `cgroup`: who the job is, by default this process and what it starts.
   */
  constructor(
    root: string,
    folder: string,
    { descriptors, cgroup = ownCgroup(), ...order }: MountedHomeOptions = {},
  ) {
    this.#cgroup = cgroup;
    this.#limit = descriptors ? ['prlimit', `--nofile=${descriptors}`] : [];
    this.at = join(folder, 'at');
    this.delayed = join(folder, 'delayed');
    this.sockets = { serve: join(folder, 'serve'), mount: join(folder, 'mount') };
    mkdirSync(this.at, { recursive: true });
    this.link = new WireLink(this.sockets.mount, this.sockets.serve);
    const { program } = MountedHome;
    this.#order = {
      ...{ program, socket: this.sockets.serve, id: folder.slice(-60), root, user: ROOT, without: [] },
      ...order,
    };
  }

  /** Both ends, not joined yet. */
  async begin(): Promise<void> {
    await this.serve();
    const { program, id, user } = this.#order;
    const whose = { uid: user.uid, cgroup: this.#cgroup };
    const { mount: socket } = this.sockets;
    const { at, delayed } = this;
    this.mount = launch(mountCommand({ program, socket, id, home: 'home', at, delayed, ...whose }));
    await heard(this.mount, 'mounted');
  }

  async start(): Promise<this> {
    await this.begin();
    this.link.join();
    // The first answer: from then on a waiting process may be killed.
    await stat(this.at);
    return this;
  }

  /** Starts the home's half; again, when it has died. */
  async serve(): Promise<void> {
    this.server = launch([...this.#limit, ...serveCommand(this.#order)]);
    await heard(this.server, 'serving');
  }

  async stop(): Promise<void> {
    await unmountHome(MountedHome.program, this.at, { abort: true });
    this.link.cut();
    end(this.mount);
    end(this.server);
  }
}

/** Waits for the first line, which must be this word. */
export async function heard(child: ChildProcess, word: 'serving' | 'mounted'): Promise<void> {
  let said = '';
  for await (const text of child.stdout!.iterator({ destroyOnReturn: false })) {
    said += text;
    if (said.includes('\n')) break;
  }
  const line = parseWith(HomefsMessage, parseJson('its word', said.trim() || 'null'), 'its word');
  if (!(word in line)) throw new Error(`godwit-homefs said ${said}`);
}
