/**
 * A Slurm of its own on the nodes of a lab: its controller on the first one, a slurmd on each, in the networks and with the
 * files of these nodes. What runs in a lab's networks ends with the lab.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, constants, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readLab } from '../../agent/lab/description';
import { filesNamespace, nodeNamespace } from '../../agent/lab/namespaces';
import type { Person, Stage } from '../attacks/stage';
import { type Outcome, run } from '../support/processes';
import { Terminal } from '../support/terminal';

/** Each node claims to have so much. */
const CPUS = 4;
const MEMORY_MB = 1_000;
export const GRACE_MS = 3_000;
const NODES = ['node1', 'node2', 'node3'];

export interface Options {
  /** An epilog that tells the agent of a node when an allocation ends there. */
  epilog: boolean;
}

export class Slurm {
  readonly folder: string;
  readonly settings: string;

  private constructor(private readonly stage: Stage) {
    this.folder = join(stage.folder, 'slurm');
    this.settings = join(this.folder, 'slurm.conf');
  }

  /** Returns when all nodes are idle, and the lab's agents know of Slurm. */
  static async up(stage: Stage): Promise<Slurm> {
    const slurm = new Slurm(stage);
    try {
      await slurm.#start();
      return slurm;
    } catch (error) {
      await slurm.down();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const { stage } = this;
    await this.#prepare();
    await this.#mustRun('munged', ...this.#munge());
    await this.startController();
    for (const node of NODES) await this.#mustRun(...this.#on(node), '/usr/sbin/slurmd', '-N', node);
    await stage.until('all nodes of Slurm are idle', async () => (await this.states()) === 'idle');
    const { settings } = this;
    const allocations = { from: 'slurm', settings, graceMs: GRACE_MS };
    for (const node of NODES) await stage.configure(node, { allocations });
  }

  /** Before the lab, with which the rest of it ends. */
  async down(): Promise<void> {
    const pid = this.#pidOf('munged');
    if (!pid) return;
    process.kill(pid);
    await this.stage.until('munged has ended', () => this.#pidOf('munged') === null);
  }

  startController(): Promise<void> {
    return this.#mustRun(...this.#on('node1'), '/usr/sbin/slurmctld');
  }

  endController(): Promise<void> {
    process.kill(this.#pidOf('slurmctld')!);
    return this.stage.until('the controller has ended', () => this.#pidOf('slurmctld') === null);
  }

  /** Has the nodes' epilog tell their agents, or leave it to these to find out. */
  set epilog(wanted: boolean) {
    if (wanted) rmSync(join(this.folder, 'no-epilog'), { force: true });
    else writeFileSync(join(this.folder, 'no-epilog'), '');
  }

  /** One of Slurm's commands on the first node, to its end. @throws Error where it fails */
  async command(...argv: string[]): Promise<string> {
    const { status, stdout, stderr } = await run([...this.#on('node1'), ...argv]);
    if (status !== 0) throw new Error(`\`${argv.join(' ')}\` exited with ${status}: ${stdout}${stderr}`);
    return stdout.trim();
  }

  /** Ends all allocations; nodes that have been drained are so no more. */
  async clear(): Promise<void> {
    await this.command('sh', '-c', 'scancel $(squeue --noheader --format=%A)').catch(() => {});
    for (const node of NODES)
      await this.command('scontrol', 'update', `nodename=${node}`, 'state=resume').catch(() => {});
  }

  /** The state of all nodes, where that is one. */
  states(): Promise<string> {
    return this.command('sh', '-c', "sinfo --noheader --Node --format=%T | sort -u | paste -sd ' '");
  }

  /** What a person does on the first node, within an allocation or not. */
  as(person: Person, argv: string[], allocation?: string): Promise<Outcome> {
    return run(this.#argvOf(person, argv, allocation), { cwd: '/' });
  }

  at(person: Person, argv: string[], allocation: string): Terminal {
    return new Terminal(this.#argvOf(person, argv, allocation), {});
  }

  /** @returns the allocation's id, which stays until it is cancelled */
  async allocate(person: Person, ...options: string[]): Promise<string> {
    const { status, stderr } = await this.as(person, ['salloc', '--no-shell', '--chdir=/', ...options]);
    const [, id] = /Granted job allocation (\d+)/.exec(stderr) ?? [];
    if (status !== 0 || !id) throw new Error(`no allocation: ${stderr}`);
    return id;
  }

  godwit(person: Person, args: string[], allocation?: string): Promise<Outcome> {
    return this.as(person, [this.#godwit, ...args], allocation);
  }

  #argvOf(person: Person, argv: string[], allocation?: string): string[] {
    const { uid, gid, groups } = this.stage.people[person];
    const numbers = ['--reuid', `${uid}`, '--regid', `${gid}`, '--groups', groups.join()];
    const variables = [
      `GODWIT_AGENT=${this.stage.socketOf(person, 'node1')}`,
      ...(allocation ? [`SLURM_JOB_ID=${allocation}`] : []),
    ];
    return [...this.#on('node1'), 'setpriv', ...numbers, 'env', 'HOME=/', ...variables, ...argv];
  }

  get #godwit() {
    return join(this.folder, 'godwit');
  }

  /** With a host name of its own, as Slurm wants it. */
  #on(node: string): string[] {
    const files = node === 'node1' ? [] : [`--mount=${filesNamespace(this.stage.lab, node)}`];
    const place = [`--net=${nodeNamespace(this.stage.lab, node)}`, ...files];
    const named = ['unshare', '--uts', 'sh', '-c', `hostname ${node} && exec "$@"`, 'sh'];
    return ['nsenter', ...place, 'env', `SLURM_CONF=${this.settings}`, ...named];
  }

  async #mustRun(...argv: string[]): Promise<void> {
    const { status, stderr } = await run(argv, { limitMs: 60_000 });
    if (status !== 0) throw new Error(`\`${argv.join(' ')}\` exited with ${status}: ${stderr}`);
  }

  #munge(): string[] {
    const file = (name: string) => join(this.folder, 'munge', name);
    return [
      '--force',
      `--key-file=${file('key')}`,
      `--socket=${join(this.folder, 'munge.sock')}`,
      `--pid-file=${join(this.folder, 'munged.pid')}`,
      `--seed-file=${file('seed')}`,
      `--log-file=${file('log')}`,
    ];
  }

  #pidOf(daemon: string): number | null {
    try {
      const pid = Number(readFileSync(join(this.folder, `${daemon}.pid`), 'utf8'));
      process.kill(pid, 0);
      return pid;
    } catch {
      return null;
    }
  }

  async #prepare(): Promise<void> {
    mkdirSync(this.folder, { mode: 0o755 });
    for (const folder of ['munge', 'controller', ...NODES])
      mkdirSync(join(this.folder, folder), { mode: 0o700 });
    writeFileSync(join(this.folder, 'munge', 'key'), randomBytes(1_024), { mode: 0o400 });
    const command = join(this.stage.folder, 'godwit.cjs');
    // Where all nodes see it.
    const runtime = join(this.folder, 'node');
    copyFileSync(process.execPath, runtime, constants.COPYFILE_FICLONE);
    this.#script('godwit', `exec ${runtime} ${command} "$@"`);
    const agent = join(this.stage.paths('node1').state, '..', '$SLURMD_NODENAME');
    // On a machine of its own the command finds the agent by itself.
    this.#script('task-prolog', `echo "export GODWIT_AGENT=${agent}/user/$(id -u)"`);
    this.#script(
      'epilog',
      `[ -e ${this.folder}/no-epilog ] ||\nexec ${this.#godwit} --agent "${agent}/agent.sock" allocation end "$SLURM_JOB_ID"`,
    );
    const nodes = (await readLab(this.stage.lab))!.nodes;
    writeFileSync(this.settings, this.#settings(nodes));
    chmodSync(this.settings, 0o644);
  }

  #script(name: string, text: string): void {
    writeFileSync(join(this.folder, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  }

  #settings(nodes: { name: string; address: string }[]): string {
    const file = (name: string) => join(this.folder, name);
    const { address } = nodes[0]!;
    const lines = nodes.map(
      ({ name, address }) => `NodeName=${name} NodeAddr=${address} CPUs=${CPUS} RealMemory=${MEMORY_MB}`,
    );
    return `
ClusterName=${this.stage.lab}
SlurmctldHost=node1(${address})
AuthType=auth/munge
AuthInfo=socket=${file('munge.sock')}
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=${file('controller')}
SlurmdSpoolDir=${file('%n')}
SlurmctldPidFile=${file('slurmctld.pid')}
SlurmdPidFile=${file('%n.pid')}
SlurmctldLogFile=${file('slurmctld.log')}
SlurmdLogFile=${file('%n.log')}
TaskProlog=${file('task-prolog')}
Epilog=${file('epilog')}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SwitchType=switch/none
# The nodes have more than their machine.
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerNode=100
ReturnToService=2
KillWait=2
MessageTimeout=2
${lines.join('\n')}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
`;
  }
}
