/** A lab to break things in: agents are killed, CRIU is told to fail, and what is left of a job is counted. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type ClientContract, clientContract } from '../../agent/api/client-contract';
import { loadConfig } from '../../agent/api/config';
import type { Method, Remote, Result, SentParams } from '../../agent/api/contract';
import type { Exit, Job, MoveReport } from '../../agent/api/model';
import { type FaultPoint, faultsFolder } from '../../agent/daemon/migration/fault-points';
import { nodePaths } from '../../agent/lab/description';
import { killAgent, killKeeper, labDown, labUp, restartAgent, setLink } from '../../agent/lab/lab';
import { findNamespaces, processesIn, processesOfNode } from '../../agent/lab/namespaces';
import { nodeCgroup } from '../../agent/machine/cgroup/hierarchy';
import { findCriu } from '../../agent/machine/criu/criu';
import { childrenOf } from '../../agent/machine/proc/identity';
import { parseMounts } from '../../agent/machine/proc/parse';
import { connectUnix } from '../../agent/wire/client';
import { compile } from './c-programs';
import { Gdb } from './gdb';
import { commandLine } from './processes';
import { inProject } from './project';
import { betweenLooks } from './until';

/** A move's last debts are paid after an agent's restart and a few seconds of asking again, longer where all is slow. */
const SETTLE_MS = 120_000;
const MOVE_MS = 90_000;
/** As the program ends when it is asked to. */
const EXIT_STATUS = 7;

/** What CRIU does; `real` is CRIU itself. */
export type CriuMode =
  | 'real'
  /** Ends at once, with an error line in its log. */
  | 'restore-fails'
  /** Says that all went well, and has restored nothing. */
  | 'restore-lies'
  /** Its dump begins half a second late. */
  | 'slow-dump';

const LATE_SECONDS = 0.5;

const criuScript = (folder: string, criu: string) => `#!/bin/sh
mode=$(cat ${folder}/mode)
images=$(echo "$*" | sed -n 's/.* -D \\([^ ]*\\).*/\\1/p')
pidfile=$(echo "$*" | sed -n 's/.* --pidfile \\([^ ]*\\).*/\\1/p')
case "$1 $mode" in
  "restore restore-fails") echo "(00.000001) Error (criu/made-up.c:1): The stars are wrong" > "$images/restore.log"; exit 1;;
  "restore restore-lies") echo 4194303 > "$pidfile"; exit 0;;
  "dump slow-dump") sleep ${LATE_SECONDS};;
esac
exec ${criu} "$@"
`;

export class FaultLab {
  readonly nodes = ['node1', 'node2', 'node3'];
  /** Nodes whose agent is away. */
  readonly #killed = new Set<string>();
  readonly #cut = new Set<string>();

  private constructor(
    readonly name: string,
    /** For what a test makes: gone with the lab. */
    readonly folder: string,
    readonly program: string,
  ) {}

  static async up(name: string, { users = [] as string[] } = {}): Promise<FaultLab> {
    // Where every node sees it: jobs have their home on any.
    const folder = mkdtempSync('/var/lib/godwit/faults-');
    try {
      const program = await compile(inProject('test', 'fixtures', 'programs', 'numbers.c'), folder);
      const criu = join(folder, 'criu');
      writeFileSync(join(folder, 'mode'), 'real');
      writeFileSync(criu, criuScript(folder, (await findCriu()).path));
      chmodSync(criu, 0o755);
      const built = (part: string) => inProject('dist', `${part}.cjs`);
      const programs = { node: process.execPath, agent: built('agent'), keeper: built('keeper') };
      await labUp({ name, nodes: 3, programs, criu, users });
      return new FaultLab(name, folder, program);
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  async down(): Promise<void> {
    await labDown({ name: this.name });
    rmSync(this.folder, { recursive: true, force: true });
  }

  socket(node: string): string {
    return this.paths(node).agent.socket;
  }

  /** Address and port at which other nodes reach it. */
  async agentAt(node: string): Promise<[string, string]> {
    const { listen } = await loadConfig(this.paths(node).config);
    return [listen.host, String(listen.port)];
  }

  paths(node: string) {
    return nodePaths(this.name, node);
  }

  criu(mode: CriuMode): void {
    writeFileSync(join(this.folder, 'mode'), mode);
  }

  kill(node: string): Promise<void> {
    this.#killed.add(node);
    return killAgent(this.name, node);
  }

  /** Starts a node's agent; one that runs is killed first. */
  restart(node: string): Promise<void> {
    this.#killed.delete(node);
    return restartAgent(this.name, node);
  }

  /** Ends a node's keeper; its agent starts another. */
  killKeeper(node: string): Promise<void> {
    return killKeeper(this.name, node);
  }

  /** Cuts a node off from all others, or joins it again. */
  link(node: string, state: 'up' | 'down'): Promise<void> {
    if (state === 'down') this.#cut.add(node);
    else this.#cut.delete(node);
    return setLink(this.name, node, state);
  }

  /** The agent of `node` will stand still when it comes by the point. */
  arm(node: string, point: FaultPoint): void {
    const folder = faultsFolder(this.paths(node).state);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, point), '');
  }

  stands(node: string, point: FaultPoint): boolean {
    return existsSync(join(faultsFolder(this.paths(node).state), `${point}.reached`));
  }

  /** Lets an agent go that waits at a point, and forgets the points that were not reached. */
  disarm(): void {
    for (const node of this.nodes)
      rmSync(faultsFolder(this.paths(node).state), { recursive: true, force: true });
  }

  /** The processes of a node, the jobs' own included, whose command line has this word. */
  async processesWith(node: string, word: string): Promise<number[]> {
    const pids = await processesOfNode(this.name, node);
    return pids.filter((pid) => commandLine(pid).split('\0').includes(word));
  }

  /** The last words of all agents and keepers, in the order of time. */
  lastWords(lines = 40): string {
    const all = this.nodes.flatMap((node) => {
      const { agent, keeper } = this.paths(node);
      return [agent.log, keeper.log].flatMap((file) => read(file).split('\n').slice(-lines).filter(Boolean));
    });
    return all.sort().slice(-lines).join('\n');
  }

  connect(node: string): Promise<Remote<ClientContract>> {
    return connectUnix(this.socket(node), { name: 'test', kind: 'client', contract: clientContract });
  }

  async ask<M extends Method<ClientContract>>(
    node: string,
    method: M,
    params: SentParams<ClientContract, M>,
    timeoutMs = MOVE_MS,
  ): Promise<Result<ClientContract, M>> {
    const agent = await this.connect(node);
    try {
      return await agent.call(method, params, { timeoutMs });
    } finally {
      agent.close();
    }
  }

  /** Whether jobs move by themselves, on all nodes. */
  balance(balancing: boolean) {
    return this.ask('node1', 'nodes.rule', { nodes: null, rule: { balancing } });
  }

  /** Launches the program that prints numbered lines; `home` is the node that is asked. */
  async run(home: string, host: string, args: string[] = []): Promise<FaultJob> {
    const request = { program: this.program, args, cwd: '/', env: {}, stopped: false, node: host };
    const { id } = await this.ask(home, 'jobs.run', request);
    const job = new FaultJob(this, id, home);
    await job.goesOn();
    return job;
  }

  gdb(job: { id: string }, node: string): Gdb {
    const argv = [process.execPath, inProject('dist', 'godwit.cjs'), 'gdb', job.id, '--', '-q', '-nx'];
    return new Gdb(argv, { GODWIT_AGENT: this.socket(node) });
  }

  /** The copies of jobs that have a process alive: `node/JOB.EPOCH`. */
  async copies(): Promise<string[]> {
    const all = await this.#cgroups();
    const alive = all.filter(({ path }) => /populated 1/.test(read(join(path, 'cgroup.events'))));
    return alive.map(({ copy }) => copy);
  }

  /** Everything that is there besides agents, keepers and what belongs to `jobs`. */
  async leftovers(): Promise<string[]> {
    const cgroups = (await this.#cgroups()).map(({ copy }) => `cgroup ${copy}`);
    const mounts = this.nodes.flatMap((node) => {
      const seen = parseMounts(read(`/proc/${this.seenFrom(node)[1]}/mountinfo`)).map(({ at }) => at);
      return ['roots', 'images'].flatMap((kind) =>
        seen.filter((at) => at.startsWith(`${join(this.paths(node).state, kind)}/`)),
      );
    });
    const folders = this.nodes.flatMap((node) =>
      ['images', 'roots', 'reports', 'served', 'mounted'].flatMap((kind) =>
        list(join(this.paths(node).state, kind)).map((name) => `${kind} ${node}/${name}`),
      ),
    );
    const daemons = (await Promise.all(this.nodes.map((node) => this.#daemons(node)))).flat();
    const networks = (await findNamespaces(this.name)).map(({ namespace }) => namespace);
    const processes = (await processesIn(networks))
      .filter((pid) => !daemons.includes(pid))
      .map((pid) => `process ${pid} ${read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')}`);
    return [...cgroups, ...mounts.map((at) => `mount ${at}`), ...folders, ...processes];
  }

  /** For nsenter(1): to see a node's files and mounts as it does. */
  seenFrom(node: string): string[] {
    return ['-t', `${this.#pids(node).find((pid) => existsSync(`/proc/${pid}`))}`, '-m'];
  }

  /** With the process that starts the agent again, and what that has started; and the one that starts programs for the agent. */
  async #daemons(node: string): Promise<number[]> {
    const supervisor = Number(read(this.paths(node).agent.supervisorFile).split(' ')[0]);
    const started = (await childrenOf(supervisor)).map(({ pid }) => pid);
    const byAgent = (await Promise.all(this.#pids(node).map(childrenOf))).flat().map(({ pid }) => pid);
    const spawners = byAgent.filter((pid) => commandLine(pid).split('\0')[1] === 'run-programs');
    return [...this.#pids(node), supervisor, ...started, ...spawners];
  }

  /** Its agent's and its keeper's. */
  #pids(node: string): number[] {
    const { agent, keeper } = this.paths(node);
    return [agent, keeper].map(({ pidFile }) => Number(read(pidFile).split(' ')[0]));
  }

  /** Waits for `what` to answer without complaint. @throws Error with its last complaint */
  async comesTo(what: () => Promise<string | null>, limitMs = SETTLE_MS): Promise<void> {
    const deadline = performance.now() + limitMs;
    for (const pause = betweenLooks(); ; await pause.wait()) {
      const complaint = await what().catch((error: Error) => error.message);
      if (complaint === null) return;
      if (performance.now() > deadline) throw new Error(`after ${limitMs} ms still: ${complaint}`);
    }
  }

  /** After a test that failed half-way: every agent is up, and no job is left to the next test. */
  async recover(): Promise<void> {
    this.disarm();
    for (const node of this.#cut) await this.link(node, 'up');
    for (const node of this.#killed) await this.restart(node);
    await this.balance(false);
    const { jobs } = await this.ask('node1', 'jobs.list', { ended: false });
    for (const { id } of jobs)
      await this.ask('node1', 'jobs.kill', { job: id, signal: 'SIGKILL' }).catch(() => {});
  }

  async leavesNothing(): Promise<void> {
    await this.comesTo(async () => {
      const left = await this.leftovers();
      return left.length === 0 ? null : left.join('; ');
    });
  }

  async #cgroups(): Promise<{ copy: string; path: string }[]> {
    const found = this.nodes.map(async (node) => {
      const folder = await nodeCgroup(`${this.name}-${node}`);
      const copies = list(folder).filter((name) => existsSync(join(folder, name, 'cgroup.events')));
      return copies.map((name) => ({ copy: `${node}/${name}`, path: join(folder, name) }));
    });
    return (await Promise.all(found)).flat();
  }
}

/** A job that prints numbered lines. */
export class FaultJob {
  constructor(
    private readonly lab: FaultLab,
    readonly id: string,
    readonly home: string,
  ) {}

  async seen(): Promise<Job> {
    const { jobs } = await this.lab.ask(this.home, 'jobs.list', { ended: true });
    const job = jobs.find(({ id }) => id === this.id);
    if (!job) throw new Error(`${this.home} does not know ${this.id}`);
    return job;
  }

  get output(): string {
    return read(join(this.lab.paths(this.home).state, 'jobs', this.id, 'console'));
  }

  migrate(node: string): Promise<MoveReport> {
    return this.lab.ask(this.home, 'jobs.migrate', { job: this.id, node, transfer: 'stop' });
  }

  /** As `migrate`, from whichever node it is on, when earlier moves are cleared away. */
  async place(node: string): Promise<void> {
    await this.lab.comesTo(async () => {
      if ((await this.seen()).node === node) return null;
      await this.migrate(node);
      return 'it was just moved';
    });
  }

  /**
   * One copy runs, at the host that the home names, and no move is under way. The host.
   * @throws Error at once if the job is over and `mayEnd`
   */
  async settles(mayEnd = false): Promise<string> {
    let host = '';
    let over = '';
    await this.lab.comesTo(async () => {
      const { state, node } = await this.seen();
      host = node;
      if (mayEnd && (state === 'lost' || state === 'ended')) {
        over = `it is ${state}`;
        return null;
      }
      if (state === 'moving' || state === 'lost' || state === 'ended') return `it is ${state}`;
      const copies = (await this.lab.copies()).filter((copy) => copy.includes(`/${this.id}.`));
      if (copies.length !== 1) return `there are ${copies.length} copies: ${copies.join(', ')}`;
      return copies[0]!.startsWith(`${node}/`) ? null : `its copy is ${copies[0]}, its host ${node}`;
    });
    if (over) throw new Error(over);
    return host;
  }

  /** It prints more than it has. */
  async goesOn(): Promise<void> {
    const before = this.output.length;
    await this.lab.comesTo(async () => (this.output.length > before ? null : 'it prints nothing'));
  }

  signal(signal: string): Promise<unknown> {
    return this.lab.ask(this.home, 'jobs.kill', { job: this.id, signal });
  }

  wait(): Promise<Exit> {
    return this.lab.ask(this.home, 'jobs.wait', { job: this.id }, 90_000);
  }

  /** Asks it to end, and checks that not a byte of what it said is missing or there twice. */
  async ends(): Promise<void> {
    await this.lab.comesTo(async () => {
      await this.signal('SIGTERM');
      return null;
    });
    await this.ended();
  }

  /** Not a byte of what it has said so far is missing or there twice. @throws Error with the first that is */
  checkLines(): void {
    const { output } = this;
    const said = output.slice(0, output.lastIndexOf('\n') + 1);
    const count = said.split('\n').length - 1;
    const whole = Array.from({ length: count }, (_, index) => `line ${index}\n`).join('');
    if (said !== whole) throw new Error(`its output is not whole: ${firstDifference(said, whole)}`);
  }

  async ended(): Promise<void> {
    const { exit, signal } = await this.wait();
    if (exit !== EXIT_STATUS || signal !== null) throw new Error(`it ended with ${exit}, ${signal}`);
    const { output } = this;
    const count = Number(/end (\d+)\n$/.exec(output)?.[1]);
    const lines = Array.from({ length: count }, (_, index) => `line ${index}\n`);
    const whole = `${lines.join('')}end ${count}\n`;
    if (output !== whole) throw new Error(`its output is not whole: ${firstDifference(output, whole)}`);
  }
}

function firstDifference(is: string, should: string): string {
  const [left, right] = [is.split('\n'), should.split('\n')];
  const at = left.findIndex((line, index) => line !== right[index]);
  return `line ${at} is "${left[at]}", should be "${right[at]}"`;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
