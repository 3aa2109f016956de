/** The `godwit` command as a program uses it: each verb a call, its JSON parsed, its refusals as errors. */
import { z } from 'zod';
import { clientContract } from '../../agent/api/client-contract';
import { asGodwitError } from '../../agent/api/errors';
import { Exit, HistoryEvent, Job, JobId, MoveReport, Node, Preflight } from '../../agent/api/model';
import { type Agent, ask, askThroughRestarts } from '../../agent/client/agent';
import { copyConsole } from '../../agent/client/console';
import { listJobs, readHistory } from '../../agent/client/lists';
import { launchRequest } from '../../agent/command/verbs/run';
import { Gdb } from './gdb';
import { run } from './processes';
import { inProject } from './project';
import { Terminal } from './terminal';

const ASK_MS = 60_000;
/** Three agents and three keepers start at once on as little as one slow CPU. */
const LAB_MS = 180_000;
const MOVE_MS = 120_000;

const LabNodes = z.object({
  nodes: z.array(z.object({ name: z.string(), address: z.string(), socket: z.string(), state: z.string() })),
});
const Launched = z.object({
  id: JobId,
  name: z.string(),
  home: z.string(),
  node: z.string(),
  pid: z.int(),
});
export type Launched = z.infer<typeof Launched>;
const Placed = clientContract['jobs.placed'].result;
const Waited = Exit.extend({ id: z.string() });
export type Waited = z.infer<typeof Waited>;

/** The command said no. */
export class Refused extends Error {
  constructor(
    readonly command: string,
    readonly status: number,
    /** What it said on stderr. */
    readonly line: string,
  ) {
    super(`\`${command}\` exited with ${status}: ${line || 'no word on stderr'}`);
  }
}

export interface RunOptions {
  on?: string;
  name?: string;
  cwd?: string;
  stopped?: boolean;
  /** One of its own: an IP, or `auto`. */
  address?: string;
  /** On which alone it may be. */
  nodes?: string[];
  /** How much of the CPUs it may use. */
  cpus?: number;
}

/** How a command is typed by a person. */
export const typed = (args: readonly string[]) => `godwit ${args.join(' ')}`;

export interface Context {
  /** The socket of the agent to ask. */
  agent?: string;
  /** A folder for what commands keep while they run; one that is killed leaves it behind. */
  temp?: string;
  /** Who asks: root if absent. */
  user?: TestUser;
  /** Each question is a start of the command, as people ask; else root's are asked from here. */
  byCommand?: boolean;
  /** How long a command may take at the least: nodes on slow machines. */
  patienceMs?: number;
}

/** Of `lab up`. */
export interface LabOptions {
  users?: string[];
  cpus?: number[];
  /** "512M" */
  memory?: string[];
}

/** A user without an account of their own needs: only numbers count. */
export interface TestUser {
  uid: number;
  gid: number;
  groups: number[];
}

export class Godwit {
  constructor(
    private readonly context: Context = {},
    private readonly program = inProject('dist', 'godwit.cjs'),
  ) {}

  /** Makes a lab and answers with a Godwit that asks its first node. */
  static async labUp(
    name: string,
    {
      nodes = 3,
      users = [],
      cpus,
      memory,
      ...context
    }: LabOptions & { nodes?: number } & Pick<Context, 'temp' | 'byCommand'> = {},
  ): Promise<Godwit> {
    const admitted = users.length > 0 ? ['--users', users.join()] : [];
    const shares = cpus ? ['--cpus', cpus.join()] : [];
    const sizes = memory ? ['--memory', memory.join()] : [];
    const args = ['lab', 'up', '--name', name, '--nodes', String(nodes), ...admitted, ...shares, ...sizes];
    const lab = await new Godwit().#json(LabNodes, args, LAB_MS);
    return new Godwit({ agent: lab.nodes[0]!.socket, ...context });
  }

  static async labDown(name: string): Promise<void> {
    await new Godwit().text(['lab', 'down', '--name', name], LAB_MS);
  }

  /** Takes a lab down, for who may be killed before. */
  static downCommand(name: string): string[] {
    return [process.execPath, inProject('dist', 'godwit.cjs'), 'lab', 'down', '--name', name];
  }

  static async labNodes(name: string): Promise<string[]> {
    const status = await new Godwit().#json(LabNodes, ['lab', 'status', '--name', name]);
    return status.nodes.map((node) => node.name);
  }

  /** Starts a job and leaves it to itself. */
  run([program, ...args]: readonly string[], given: RunOptions = {}): Promise<Launched> {
    const { on, name, cwd, stopped, address, nodes, cpus } = given;
    const options = [
      ...(on ? ['--on', on] : []),
      ...(name ? ['--name', name] : []),
      ...(cwd ? ['--cwd', cwd] : []),
      ...(stopped ? ['--stopped'] : []),
      ...(address ? ['--address', address] : []),
      ...(nodes ? ['--nodes', nodes.join()] : []),
      ...(cpus ? ['--cpus', `${cpus}`] : []),
    ];
    const words = ['run', '--detach', ...options];
    return this.#asks(
      words,
      (socket) =>
        ask(socket, (agent) =>
          agent.call('jobs.run', launchRequest({ on: 'auto', ...given, env: this.#env() }, program!, args)),
        ),
      () => this.#json(Launched, words, ASK_MS, ['--', program!, ...args]),
    );
  }

  nodes(): Promise<Node[]> {
    return this.#answer(
      z.array(Node),
      ['nodes'],
      async (agent) => (await agent.call('nodes.list', {})).nodes,
    );
  }

  jobs(): Promise<Job[]> {
    return this.#answer(z.array(Job), ['ps', '-a'], (agent) => listJobs(agent, { ended: true }));
  }

  async job(id: string): Promise<Job> {
    const job = (await this.jobs()).find((one) => one.id === id);
    if (!job) throw new Error(`\`godwit ps -a\` does not show ${id}`);
    return job;
  }

  migrate(job: string, node: string, limitMs = MOVE_MS): Promise<MoveReport> {
    const asked = { job, node, transfer: 'auto' as const };
    return this.#answer(
      MoveReport,
      ['migrate', job, node],
      (agent) => agent.call('jobs.migrate', asked, this.#within(limitMs)),
      limitMs,
    );
  }

  why(job: string, node: string): Promise<Preflight> {
    return this.#answer(Preflight, ['why', job, node], (agent) => agent.call('jobs.why', { job, node }));
  }

  /** Why it is where it is. */
  placed(job: string): Promise<z.infer<typeof Placed>> {
    return this.#answer(Placed, ['why', job], (agent) => agent.call('jobs.placed', { job }));
  }

  /** Answers at the job's end. */
  async wait(job: string, limitMs = 120_000): Promise<Waited> {
    const words = ['wait', job];
    return this.#asks(
      words,
      (socket) =>
        askThroughRestarts(socket, (agent) => agent.call('jobs.wait', { job }, this.#within(limitMs))),
      async () => {
        // Its status is the program's own: only what it prints tells whether it could wait.
        const { status, stdout, stderr } = await this.#spawn([...words, '--json'], limitMs);
        if (!stdout.trim()) throw new Refused(typed(words), status, stderr.trim());
        return Waited.parse(JSON.parse(stdout));
      },
    );
  }

  async kill(job: string, signal = 'SIGKILL'): Promise<void> {
    const words = ['kill', job, '-s', signal];
    await this.#asks<unknown>(
      words,
      (socket) => ask(socket, (agent) => agent.call('jobs.kill', { job, signal })),
      () => this.text(words),
    );
  }

  history(job: string): Promise<HistoryEvent[]> {
    return this.#answer(z.array(HistoryEvent), ['history', job], (agent) => readHistory(agent, job));
  }

  /** The job's console, byte for byte. */
  logs(job: string): Promise<string> {
    const words = ['logs', job];
    return this.#asks(
      words,
      async (socket) => {
        const parts: Buffer[] = [];
        await copyConsole(socket, job, async (part) => void parts.push(part));
        return Buffer.concat(parts).toString();
      },
      () => this.text(words),
    );
  }

  /** The command at a terminal of a size. */
  at(args: readonly string[], size?: { rows: number; columns: number }): Terminal {
    return new Terminal(this.#argv(args), this.#env(), size);
  }

  /** A gdb that stands on the job, ready for commands; `pid` is one of the job's own process ids. */
  async gdb(job: string, { pid }: { pid?: number } = {}): Promise<Gdb> {
    const args = ['gdb', job, ...(pid === undefined ? [] : ['-p', String(pid)]), '--', '-q', '-nx'];
    const gdb = new Gdb(this.#argv(args), this.#env());
    try {
      await gdb.ready();
      return gdb;
    } catch (error) {
      gdb.kill();
      throw error;
    }
  }

  /** What a verb prints for people. @throws Refused */
  async text(args: readonly string[], limitMs = ASK_MS): Promise<string> {
    const { status, stdout, stderr } = await this.#spawn(args, limitMs);
    if (status !== 0) throw new Refused(typed(args), status, stderr.trim());
    return stdout;
  }

  /** What a verb prints, on both. @throws Refused */
  async said(args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
    const { status, stdout, stderr } = await this.#spawn(args, ASK_MS);
    if (status !== 0) throw new Refused(typed(args), status, stderr.trim());
    return { stdout, stderr };
  }

  async #json<S extends z.ZodType>(
    schema: S,
    args: readonly string[],
    limitMs = ASK_MS,
    program: readonly string[] = [],
  ): Promise<z.output<S>> {
    const answer = await this.text([...args, '--json', ...program], limitMs);
    return schema.parse(JSON.parse(answer));
  }

  /** Of one question, or of the verb that prints the same as JSON. */
  #answer<S extends z.ZodType>(
    schema: S,
    words: readonly string[],
    question: (agent: Agent) => Promise<z.output<S>>,
    limitMs = ASK_MS,
  ): Promise<z.output<S>> {
    return this.#asks(
      words,
      (socket) => ask(socket, question),
      () => this.#json(schema, words, limitMs),
    );
  }

  /** Root's questions go to the agent from here, as the command asks them: each command is a program's start. */
  async #asks<T>(
    words: readonly string[],
    question: (socket: string) => Promise<T>,
    command: () => Promise<T>,
  ): Promise<T> {
    const { agent, user, byCommand } = this.context;
    if (!agent || user || byCommand) return command();
    try {
      return await question(agent);
    } catch (error) {
      throw new Refused(typed(words), 1, `godwit: ${asGodwitError(error).toLine()}`);
    }
  }

  #spawn(args: readonly string[], limitMs: number) {
    return run(this.#argv(args), { env: this.#env(), limitMs: this.#within(limitMs).timeoutMs });
  }

  #within(limitMs: number) {
    return { timeoutMs: Math.max(limitMs, this.context.patienceMs ?? 0) };
  }

  #argv(args: readonly string[]): string[] {
    const { user } = this.context;
    const numbers = user && ['--reuid', `${user.uid}`, '--regid', `${user.gid}`];
    const groups = user && (user.groups.length > 0 ? ['--groups', user.groups.join()] : ['--clear-groups']);
    const as = numbers && groups ? ['setpriv', ...numbers, ...groups, '--'] : [];
    return [...as, process.execPath, this.program, ...args];
  }

  #env(): Record<string, string> {
    const { agent, temp } = this.context;
    return { ...(agent ? { GODWIT_AGENT: agent } : {}), ...(temp ? { TMPDIR: temp } : {}) };
  }
}
