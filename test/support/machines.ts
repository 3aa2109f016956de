/**
 * Machines that are to become a cluster: each a network and folders of its own (`/home`, `/tmp` and the like), joined by a
 * bridge, with nothing of Godwit's yet. They are made as a lab's nodes are, and taken down as those.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Lab, type LabNode, labFolder, nodePaths } from '../../agent/lab/description';
import { removeLab } from '../../agent/lab/down';
import { filesOf, makeFiles, seenFrom } from '../../agent/lab/files';
import { makeNodesFolder, nodeNamespace } from '../../agent/lab/namespaces';
import { makeNetwork, switchLink } from '../../agent/lab/network';
import { freeSubnet, nodeAddress } from '../../agent/lab/subnet';
import { Godwit } from './godwit';
import { type Outcome, run } from './processes';
import { inProject } from './project';

export interface Machine {
  name: string;
  address: string;
  state: string;
  socket: string;
  config: string;
}

export class Machines {
  readonly #lab: Lab;
  /** Of each machine, as it sees it: Node.js and the folder of the programs. */
  readonly #software: { node: string; folder: string }[] = [];

  private constructor(lab: Lab) {
    this.#lab = lab;
  }

  static async make(name: string, count: number): Promise<Machines> {
    const subnet = await freeSubnet([]);
    const nodes = Array.from({ length: count }, (_, index): LabNode => {
      return {
        name: `node${index + 1}`,
        address: nodeAddress(subnet, index),
        files: index === 0 ? 'machine' : 'private',
      };
    });
    const built = (file: string) => inProject('dist', file);
    const programs = { node: process.execPath, agent: built('agent.cjs'), keeper: built('keeper.cjs') };
    const machines = new Machines({ name, subnet, programs, users: [], nodes });
    mkdirSync(labFolder(name), { recursive: true, mode: 0o755 });
    await makeNodesFolder(name);
    await makeNetwork(
      name,
      nodes.map((node) => ({ ...node, process: null })),
    );
    for (const node of nodes) {
      await makeFiles(machines.#lab, node, null);
      const { programs } = await seenFrom(machines.#lab, node);
      machines.#software.push({ node: programs.node, folder: dirname(programs.agent) });
    }
    return machines;
  }

  /** Counted from 1. Its name in the cluster is one that the taking down of a lab knows. */
  machine(number: number): Machine {
    const node = this.#node(number);
    const { state, agent } = nodePaths(this.#lab.name, node.name);
    return {
      name: `${this.#lab.name}-${node.name}`,
      address: node.address,
      ...{ state, socket: agent.socket, config: `${state}/agent.json` },
    };
  }

  /** From now on the programs there are those in this folder, which it sees. */
  install(number: number, folder: string): void {
    this.#software[number - 1] = { ...this.#software[number - 1]!, folder };
  }

  /** `godwit ARG…` on that machine, to its end. */
  command(number: number, ...args: string[]): Promise<Outcome> {
    return run(this.argv(number, ...args));
  }

  /** What `nsenter` runs there. */
  argv(number: number, ...args: string[]): string[] {
    const files = filesOf(this.#lab.name, this.#node(number));
    const place = [this.#network(number), ...(files ? [`--mount=${files}`] : [])];
    const software = this.#software[number - 1]!;
    return ['nsenter', ...place, software.node, join(software.folder, 'godwit.cjs'), ...args];
  }

  /** The machine gets another address of the same network, as by a new lease; the old one is gone at once. */
  readdress(number: number, from: string, to: string): void {
    const change = `set -- $(ip -o -4 address show to ${from}/32)
      ip address del $4 dev $2; ip address add ${to}/\${4#*/} dev $2`;
    execFileSync('nsenter', [this.#network(number), 'sh', '-ec', change]);
  }

  /** The options of `cluster init` and `cluster join` there. */
  options(number: number): string[] {
    const { name, address, state, socket } = this.machine(number);
    return [
      '--name',
      name,
      '--listen',
      address,
      '--state',
      state,
      '--socket',
      socket,
      '--no-service',
      '--json',
    ];
  }

  /** What a person has written into its configuration before it joins. */
  prepare(number: number, settings: object): void {
    const { config } = this.machine(number);
    mkdirSync(dirname(config), { recursive: true, mode: 0o755 });
    writeFileSync(config, JSON.stringify(settings));
  }

  godwit(number: number): Godwit {
    return new Godwit({ agent: this.machine(number).socket });
  }

  link(number: number, state: 'up' | 'down'): Promise<void> {
    return switchLink(this.#lab.name, this.#node(number).name, state);
  }

  remove(): Promise<void> {
    return removeLab(this.#lab.name);
  }

  #network(number: number): string {
    return `--net=${nodeNamespace(this.#lab.name, this.#node(number).name)}`;
  }

  #node(number: number): LabNode {
    return this.#lab.nodes[number - 1]!;
  }
}
