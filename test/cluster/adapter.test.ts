/** The debug adapter as an editor uses it: real DAP over stdio, real gdb, real moves. */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Job } from '../../agent/api/model';
import { adapterClient } from '../support/adapter-client';
import { compile, lineOf } from '../support/c-programs';
import { DapRefusal, type DebugClient } from '../support/dap';
import { FaultLab } from '../support/fault-lab';
import { run } from '../support/processes';
import { inProject } from '../support/project';

const SOURCE = inProject('test', 'fixtures', 'programs', 'errands.c');
const at = (text: string) => lineOf(SOURCE, text);
/** One without what the adapter needs of it. */
const TOO_OLD = inProject('test', 'fixtures', 'old-gdb.sh');
const SLOW_TO_SAY = inProject('test', 'fixtures', 'slow-gdb.sh');
/** For what is to be there after a while, and is looked for until then. */
const SOON_MS = 120_000;

let lab: FaultLab;
let program = '';
/** What adapters keep while they run. */
let temp = '';
const clients: DebugClient[] = [];

beforeAll(async () => {
  lab = await FaultLab.up(`t${process.pid}-adapter`);
  program = await compile(SOURCE, lab.folder);
  temp = join(lab.folder, 'temp');
  mkdirSync(temp);
});
afterEach(async () => {
  for (const client of clients.splice(0)) {
    client.kill();
    await client.gone();
  }
  // Whatever became of the adapters: one that is killed has nothing left to clear.
  expect(readdirSync(temp)).toEqual([]);
  await lab.recover();
});
afterAll(() => lab?.down());

async function adapter(...args: string[]): Promise<DebugClient> {
  const client = adapterClient({ TMPDIR: temp, GODWIT_AGENT: lab.socket('node1') }, args);
  clients.push(client);
  await client.initialize();
  return client;
}

interface Begin {
  breakpoints?: DebugProtocol.SourceBreakpoint[];
  /** Arguments of the adapter itself. */
  own?: string[];
}

async function begin(
  request: 'launch' | 'attach',
  config: object,
  { breakpoints = [], own = [] }: Begin = {},
) {
  const client = await adapter(...own);
  const begun = client.start(request, config);
  await Promise.race([client.event('initialized'), begun]);
  const placed = await client.setBreakpoints(SOURCE, breakpoints);
  await client.request('configurationDone');
  await begun;
  return { client, placed, job: client.all<{ id: string }>('godwit.job')[0]!.id };
}

/** `args` of the sample: rounds, pause in ms, rest in ms, exit status. */
const launch = (args: (number | string)[], options: Begin & { config?: object } = {}) =>
  begin('launch', { program, args: args.map(String), node: 'node1', ...options.config }, options);

/** A job without a debugger. */
async function launchQuietly(args: string[]): Promise<string> {
  const request = { program, args, cwd: '/', env: {}, stopped: false, node: 'node1' };
  return (await lab.ask('node1', 'jobs.run', request)).id;
}

/** The job's end, with this status, and all that it printed. */
async function waitFor(job: string, exit: number): Promise<{ output: string }> {
  const ended = await lab.ask('node1', 'jobs.wait', { job }, 60_000);
  expect(ended).toMatchObject({ exit, signal: null });
  return { output: readFileSync(join(lab.paths('node1').state, 'jobs', job, 'console'), 'utf8') };
}

async function here(client: DebugClient) {
  const [top, ...rest] = await client.stack();
  const locals = await client.scope(top!.id);
  const values = Object.fromEntries(locals.map(({ name, value }) => [name, value]));
  return { line: top!.line, frame: top!.id, names: [top!, ...rest].map(({ name }) => name), values };
}

async function next(client: DebugClient, times = 1) {
  for (let time = 0; time < times; time++) {
    await client.request('next', { threadId: 1 });
    expect((await client.stopped()).reason).toBe('step');
  }
  return here(client);
}

const resume = (client: DebugClient) => client.request('continue', { threadId: 1 });
const jobOf = async (id: string): Promise<Job> =>
  (await lab.ask('node1', 'jobs.list', { ended: true })).jobs.find((job) => job.id === id)!;

async function ends(client: DebugClient, exitCode: number): Promise<void> {
  expect(await client.event('exited')).toEqual({ exitCode });
  await client.event('terminated');
  await client.request('disconnect');
  client.closeStdin();
  expect(await client.gone()).toBe(0);
  for (const event of ['exited', 'terminated']) expect(client.all(event)).toHaveLength(1);
  await nothingLeft();
}

/** No gdb that an adapter started, and none of its folders. */
async function nothingLeft(): Promise<void> {
  await lab.comesTo(async () => {
    const left = [...readdirSync(temp), ...debuggers()];
    return left.length === 0 ? null : `left behind: ${left.join(', ')}`;
  }, SOON_MS);
}

const debuggers = () =>
  processesWith(`TMPDIR=${temp}`)
    .filter(({ name }) => name === 'gdb')
    .map(({ pid }) => pid);

function processesWith(variable: string): { pid: number; name: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        if (!readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(variable)) return [];
        return [{ pid: Number(pid), name: readFileSync(`/proc/${pid}/comm`, 'utf8').trim() }];
      } catch {
        return [];
      }
    });
}

const expectedOutput = async (args: (number | string)[]) =>
  (await run([program, ...args.map(String)])).stdout;

describe('a session that moves', () => {
  it('stops, steps, moves, and ends as if nothing had been', async () => {
    const args = [60, 40, 3000, 0];
    const expected = expectedOutput(args);
    const { client, job } = await launch(args, { breakpoints: [{ line: at('int doubled = twice') }] });
    expect(await client.stopped()).toMatchObject({ reason: 'breakpoint', allThreadsStopped: true });
    await next(client);
    const before = await next(client);
    expect(before).toMatchObject({ line: at('int odd ='), values: { round: '1', doubled: '2' } });

    // While it stands there.
    const stops = client.all('stopped').length;
    const report = await client.request('godwit.migrate', { node: 'node2' });
    expect(report).toMatchObject({ job, from: 'node1', to: 'node2' });
    await client.outputHas('Moved node1 → node2, frozen ');
    expect(client.all('godwit.moving')).toEqual([{ job, from: 'node1', to: 'node2', epoch: 1 }]);
    expect(client.all('godwit.moved')).toMatchObject([{ job, from: 'node1', to: 'node2', epoch: 1 }]);
    expect(await here(client)).toMatchObject({
      line: before.line,
      names: before.names,
      values: before.values,
    });
    // What the editor holds of the frame is good still.
    expect(await client.evaluate('doubled', before.frame)).toBe('2');
    expect(client.all('stopped')).toHaveLength(stops);
    expect(await next(client)).toMatchObject({ values: { odd: '3' } });
    await client.setBreakpoints(SOURCE, [{ line: at('tally->count++'), condition: 'round == 5' }]);
    await resume(client);
    await client.stopped();
    expect(await here(client)).toMatchObject({ values: { round: '5', doubled: '10' } });

    // While it runs.
    await client.setBreakpoints(SOURCE, [{ line: at('tally->count++'), condition: 'round == 50' }]);
    await resume(client);
    await client.request('godwit.migrate', { node: 'node3' });
    expect(await client.stopped()).toMatchObject({ reason: 'breakpoint' });
    expect(await here(client)).toMatchObject({ values: { round: '50' } });

    // In the middle of a step.
    await client.setBreakpoints(SOURCE, [{ line: at('int rested = rest') }]);
    await resume(client);
    await client.stopped();
    await client.request('next', { threadId: 1 });
    await client.request('godwit.migrate', { node: 'node1' });
    // gdb can't set this one without stopping the program, which ends the step for gdb, not for the client.
    await client.setBreakpoints(SOURCE, [{ line: at('waitpid(child') }]);
    expect(await client.stopped()).toMatchObject({ reason: 'step' });
    expect((await here(client)).line).toBe(at('printf("rested'));

    await resume(client);
    await ends(client, 0);
    expect(client.output).toBe(await expected);
    expect(client.all('godwit.moving')).toHaveLength(3);
    expect(client.all('godwit.moved')).toHaveLength(3);
    expect(await jobOf(job)).toMatchObject({ state: 'ended', migrations: 3 });
  });
});

describe('a job that runs already', () => {
  it('is attached to, paused, watched, and left alone', async () => {
    const job = await launchQuietly(['5000', '50', '10', '4']);
    const { client } = await begin('attach', { job });
    await client.outputHas('round 5 ');
    await client.request('pause', { threadId: 1 });
    expect(await client.stopped()).toMatchObject({ reason: 'pause' });
    expect((await here(client)).names.at(-1)).toMatch(/^main\(argc=/);
    await client.request('godwit.migrate', { node: 'node2' });
    await resume(client);
    // While it runs, and again right after a move.
    await client.setBreakpoints(SOURCE, [{ line: at('tally->count++') }]);
    expect(await client.stopped()).toMatchObject({ reason: 'breakpoint' });
    await client.setBreakpoints(SOURCE, []);
    await resume(client);
    await client.request('godwit.migrate', { node: 'node3' });
    await client.request('pause', { threadId: 1 });
    expect(await client.stopped()).toMatchObject({ reason: 'pause' });
    await client.request('disconnect');
    expect(client.all('exited')).toEqual([]);
    client.closeStdin();
    await client.gone();
    await nothingLeft();
    expect(await jobOf(job)).toMatchObject({ state: 'running', node: 'node3', debugged: false });
    await lab.ask('node1', 'jobs.kill', { job, signal: 'SIGUSR1' });
    const { output } = await waitFor(job, 4);
    expect(output.startsWith(client.output)).toBe(true);
    expect(output).toBe(await expectedOutput([5000, 0, 10, 4]));
  });

  it('has a second process', async () => {
    const job = await launchQuietly(['5000', '20', '10', '0', 'child']);
    const first = (await begin('attach', { job })).client;
    await first.outputHas('round 2 ');
    await first.request('pause', { threadId: 1 });
    await first.stopped();
    const pid = Number(await first.evaluate('child', (await here(first)).frame));
    const breakpoints = [{ line: at('for (; served < rounds; served++) rest') }];
    const { client } = await begin('attach', { job, process: pid }, { breakpoints });
    await client.request('pause', { threadId: 1 });
    await client.stopped();
    expect((await client.stack()).map(({ name }) => name)).toContainEqual(
      expect.stringMatching(/^wait_in_line\(/),
    );
    await lab.ask('node1', 'jobs.migrate', { job, node: 'node2', transfer: 'auto' });
    await client.outputHas('Moved node1 → node2');
    await first.outputHas('Moved node1 → node2');
    await client.setBreakpoints(SOURCE, []);
    for (const each of [client, first]) {
      const [top] = await each.stack();
      await each.evaluate('hurried=1', top!.id);
      await resume(each);
    }
    // Each process has its own end.
    expect(await client.event('exited')).toEqual({ exitCode: 5 });
    await client.event('terminated');
    expect(await first.event('exited')).toEqual({ exitCode: 0 });
    expect(first.output).toContain('child 5\n');
  });
});

describe('the end of a session', () => {
  it('is that of a launched job, when the client says so', async () => {
    const { client, job } = await launch([10_000, 20]);
    await client.outputHas('round 3 ');
    await client.request('disconnect');
    expect(await jobOf(job)).toMatchObject({ state: 'ended', exit: { exit: 137, signal: 'SIGKILL' } });
    client.closeStdin();
    expect(await client.gone()).toBe(0);
    await nothingLeft();
  });

  it.each<['launch' | 'attach', string]>([
    ['launch', 'SIGTERM'],
    ['attach', 'SIGINT'],
    ['launch', 'end of input'],
    ['attach', 'end of input'],
  ])('%s: the adapter gets %s', async (request, what) => {
    const config =
      request === 'launch'
        ? { program, args: ['10000', '20'], node: 'node2' }
        : { job: await launchQuietly(['10000', '20']) };
    const { client, job } = await begin(request, config);
    await client.outputHas('round 3 ');
    if (what === 'end of input') client.closeStdin();
    else client.signal(what as NodeJS.Signals);
    expect(await client.gone()).toBe(0);
    await nothingLeft();
    expect((await jobOf(job)).state).toBe(request === 'launch' ? 'ended' : 'running');
  });

  it.each([
    ['its own', ['3', '0', '0', '42'], undefined, 42],
    ['a signal', ['10000', '20'], 'SIGTERM', 143],
    ['SIGKILL', ['10000', '20'], 'SIGKILL', 137],
  ])('the program ends by %s', async (_, args, signal, status) => {
    const { client, job } = await launch(args);
    if (signal) {
      await client.outputHas('round 3 ');
      await lab.ask('node1', 'jobs.kill', { job, signal });
    }
    if (signal === 'SIGTERM') {
      // It is told first, as any debugger does.
      expect(await client.stopped()).toMatchObject({
        reason: 'exception',
        description: 'Paused on SIGTERM',
      });
      await resume(client);
    }
    await ends(client, status);
    const word = expect(client.said('important'));
    if (signal) word.toContain(`The program was ended by ${signal}.`);
    else word.not.toContain('was ended by');
  });

  it('gdb is killed', async () => {
    const { client, job } = await launch([10_000, 20]);
    await client.outputHas('round 3 ');
    const [gdb] = debuggers();
    process.kill(gdb!, 'SIGKILL');
    await client.outputHas(`gdb was ended by SIGKILL; job ${job} runs on without a debugger; attach to it`);
    await ends(client, -1);
    expect((await jobOf(job)).state).toBe('running');
  });

  it('gdb is told to let go', async () => {
    const { client, job } = await launch([10_000, 20], { breakpoints: [{ line: at('tally->count++') }] });
    await client.stopped();
    await client.evaluate('>detach', (await here(client)).frame, 'repl');
    await ends(client, -1);
    expect((await jobOf(job)).state).toBe('running');
  });

  it('comes while the program stands at a breakpoint that another session set', async () => {
    const { client, job } = await launch([200, 20], { breakpoints: [{ line: at('tally->count++') }] });
    await client.stopped();
    await client.request('disconnect', { terminateDebuggee: false });
    await nothingLeft();
    expect(await waitFor(job, 0)).toMatchObject({ output: await expectedOutput([200, 0, 10]) });
  });
});

describe('an agent', () => {
  it('that is killed and started again costs nothing', async () => {
    const { client } = await launch([150, 40], {
      breakpoints: [{ line: at('if (round % 10 == 0)'), condition: 'round == 80' }],
    });
    await client.outputHas('round 5 ');
    await lab.kill('node1');
    await client.outputHas('The agent does not answer');
    await lab.restart('node1');
    await client.outputHas('The agent is back.');
    expect(await client.stopped()).toMatchObject({ reason: 'breakpoint' });
    expect((await here(client)).values).toMatchObject({ round: '80' });
    await client.request('godwit.migrate', { node: 'node2' });
    await client.outputHas('Moved node1 → node2');
    await next(client);
    await resume(client);
    await ends(client, 0);
    expect(client.output).toBe(await expectedOutput([150, 0, 10]));
  });

  it('that does not come back ends the session', async () => {
    const { client, job } = await launch([10_000, 20], { own: ['--agent-patience-ms', '1500'] });
    await client.outputHas('round 3 ');
    await lab.kill('node1');
    await client.outputHas('has not come back for 2 s');
    await ends(client, -1);
    await lab.restart('node1');
    expect((await jobOf(job)).state).toBe('running');
  });

  it('of the node that the job is on: its silence is told, and waited for', async () => {
    const { client } = await launch([10_000, 20], { config: { node: 'node3' } });
    await client.outputHas('round 3 ');
    await lab.kill('node3');
    await client.outputHas('Node node3, where the job is, does not answer');
    await lab.restart('node3');
    await client.outputHas('Node node3 is back.');
    await client.request('pause', { threadId: 1 });
    expect(await client.stopped()).toMatchObject({ reason: 'pause' });
    await client.request('disconnect');
  });
});

it('a move that fails leaves the session where it is', async () => {
  const { client } = await launch([200, 20], { breakpoints: [{ line: at('tally->count++') }] });
  await client.stopped();
  lab.criu('restore-fails');
  try {
    await expect(client.request('godwit.migrate', { node: 'node2' })).rejects.toThrow(/The stars are wrong/);
  } finally {
    lab.criu('real');
  }
  await client.outputHas('Not moved node1 → node2: ');
  expect(client.all('godwit.moved')).toEqual([]);
  expect(await next(client)).toMatchObject({ values: { round: '1' } });
  await expect(client.request('godwit.migrate', { node: 'node9' })).rejects.toThrow(/no node "node9"/);
  await expect(client.request('godwit.migrate', {})).rejects.toThrow(/"node" is missing/);
  await client.request('disconnect');
});

describe('what can be wrong', () => {
  const missing = '/nowhere/program';
  it.each<[string, 'launch' | 'attach', object, RegExp]>([
    ['no program', 'launch', {}, /"program" is missing; correct it in launch.json/],
    ['arguments', 'launch', { program: 'x', args: 'one two' }, /"args" must be a list, not a text/],
    ['console', 'launch', { program: 'x', console: 'here' }, /one of "debugConsole", "panel"/],
    ['folder', 'launch', { program: 'x', cwd: 'here' }, /"cwd" must be an absolute path/],
    ['variables', 'launch', { program: 'x', env: { A: 1 } }, /"env.A" must be a text, not a number/],
    ['a program that is not there', 'launch', { program: missing }, /\/nowhere/],
    ['a program that is none', 'launch', { program: SOURCE }, /errands\.c/],
    ['an unknown node', 'launch', { program: '/bin/true', node: 'node9' }, /no node "node9"/],
    [
      'no gdb',
      'launch',
      { program: '/bin/true', gdb: '/nowhere/gdb' },
      /gdb can't be started as "\/nowhere\/gdb"/,
    ],
    [
      'an old gdb',
      'launch',
      { program: '/bin/sleep', args: ['1000'], gdb: TOO_OLD },
      /gdb 12 or newer.*install a gdb with Python/,
    ],
    [
      'no agent',
      'launch',
      { program: '/bin/true', agent: '/nowhere/sock' },
      /no agent answers at \/nowhere\/sock/,
    ],
    ['an unknown job', 'attach', { job: 'nobody' }, /no job "nobody"/],
    ['a job called like a link', 'attach', { job: '[n](command:x)' }, /no job "\[n\]\u2060\(command:x\)"/],
    ['a process id', 'attach', { job: 'x', process: 'y' }, /"process" must be a number, not a text/],
  ])('%s', async (_, request, config, complaint) => {
    const client = await adapter();
    const error = await client.request(request, config).catch((error: unknown) => error as DapRefusal);
    expect(error).toBeInstanceOf(DapRefusal);
    const { message, body } = error as DapRefusal;
    expect(message).toMatch(complaint);
    expect(message).not.toContain('\n');
    expect(body).toMatchObject({ format: message, showUser: true, variables: { code: expect.any(String) } });
    await client.request('disconnect');
    client.closeStdin();
    expect(await client.gone()).toBe(0);
    await nothingLeft();
    await lab.comesTo(async () => {
      const { jobs } = await lab.ask('node1', 'jobs.list', { ended: false });
      return jobs.length === 0 ? null : `${jobs.length} jobs are left`;
    }, SOON_MS);
  });

  it('a process that is not there, a job that is debugged already, one that has ended', async () => {
    const { client, job } = await launch([10_000, 20]);
    const refused = async (config: object) => (await adapter()).request('attach', config);
    await expect(refused({ job, process: 4711 })).rejects.toThrow(/4711/);
    await expect(refused({ job })).rejects.toThrow(/debugge/);
    await client.request('disconnect');
    await expect(refused({ job })).rejects.toThrow(/has ended/);
  });

  it('a program without symbols is said to be one', async () => {
    const { client } = await begin('launch', { program: '/bin/sleep', args: ['30'], stopAtEntry: true });
    await client.outputHas('/bin/sleep has no debug information');
    await client.outputHas('gdb knows no main of the program');
    expect(await client.stopped()).toMatchObject({ reason: 'entry' });
    await client.request('disconnect');
  });
});

describe('what cdt-gdb-adapter and gdb bring along', () => {
  it('entry, variables of inner blocks, set variable, memory, disassembly, registers, commands', async () => {
    const { client } = await begin('launch', { program, args: ['5', '0', '0'], stopAtEntry: true });
    expect(await client.stopped()).toMatchObject({ reason: 'entry' });
    expect((await here(client)).names).toEqual([expect.stringMatching(/^main\(argc=4, argv=0x/)]);
    await client.setBreakpoints(SOURCE, [{ line: at('int odd =') }]);
    await resume(client);
    await client.stopped();
    expect(Object.keys((await here(client)).values).sort()).toEqual(['doubled', 'odd', 'round', 'tally']);
    const stack = await client.stack();
    const { scopes } = await client.request<DebugProtocol.ScopesResponse['body']>('scopes', {
      frameId: stack[0]!.id,
    });
    const locals = scopes[0]!.variablesReference;
    const tally = (await client.variables(locals)).find(({ name }) => name === 'tally')!;
    const fields = await client.variables(tally.variablesReference);
    expect(fields.map(({ name }) => name)).toEqual(['count', 'sum', 'name']);
    await client.request('setVariable', { variablesReference: locals, name: 'doubled', value: '40' });
    await client.request('setVariable', {
      variablesReference: tally.variablesReference,
      name: 'sum',
      value: '100',
    });
    expect(await next(client)).toMatchObject({ values: { odd: '41' } });

    const frameId = (await client.stack())[0]!.id;
    const memoryReference = await client.evaluate('&tally->sum', frameId);
    const { data } = await client.request<{ data: string }>('readMemory', { memoryReference, count: 4 });
    expect(Buffer.from(data, 'base64').readInt32LE()).toBe(100);
    const seven = Buffer.from([7, 0, 0, 0]).toString('base64');
    await client.request('writeMemory', { memoryReference, data: seven });
    expect(await client.evaluate('tally->sum', frameId)).toBe('7');
    const { instructions } = await client.request<DebugProtocol.DisassembleResponse['body'] & object>(
      'disassemble',
      { memoryReference: stack[0]!.instructionPointerReference, instructionCount: 4, instructionOffset: 0 },
    );
    expect(instructions).toHaveLength(4);
    const registers = await client.scope(frameId, 'Registers');
    expect(registers.length).toBeGreaterThan(16);
    const said = client.said('console').length;
    await client.evaluate('>info frame', frameId, 'repl');
    await client.comesTo('the answer of a command', () =>
      client.said('console').slice(said).includes('source language c'),
    );
    await client.request('disconnect');
  });

  it('a client that lets it go before it has heard of its breakpoints', async () => {
    const { client } = await launch([200, 10], { breakpoints: [{ line: at('tally->count++') }] });
    await client.stopped();
    await client.request('godwit.migrate', { node: 'node2' });
    for (let round = 5; round <= 50; round += 5) {
      await next(client);
      const set = (breakpoints: object[]) =>
        client.start<DebugProtocol.SetBreakpointsResponse['body']>('setBreakpoints', {
          source: { path: SOURCE },
          breakpoints,
        });
      void set([]);
      const placed = set([{ line: at('tally->count++'), condition: `round == ${round}` }]);
      void client.start('continue', { threadId: 1 });
      await client.stopped();
      expect((await placed).body.breakpoints).toMatchObject([{ verified: true }]);
      expect((await here(client)).values).toMatchObject({ round: String(round) });
    }
    await client.request('disconnect');
  });

  it('a breakpoint that comes before gdb has said that the program runs', async () => {
    const breakpoints = [{ line: at('int odd ='), condition: 'round == 1' }];
    const { client } = await launch([5000, 20], { breakpoints, config: { gdb: SLOW_TO_SAY } });
    await client.stopped();
    await resume(client);
    await client.setBreakpoints(SOURCE, [{ line: at('tally->count++') }]);
    expect(await client.stopped()).toMatchObject({ reason: 'breakpoint' });
    expect((await here(client)).line).toBe(at('tally->count++'));
    await client.request('disconnect');
  });

  it('breakpoints with hit counts, of functions, of data, of instructions, and log points', async () => {
    const { client, placed } = await launch([40, 0], {
      breakpoints: [
        { line: at('int result = 2 * n'), hitCondition: '3' },
        { line: at('int even = doubled'), logMessage: 'round {round} of {tally->name}, {nonsense} \\{x\\}' },
        { line: at('int sum = work'), condition: 'nonsense > 3' },
        { line: 4000 },
      ],
    });
    expect(placed.map(({ verified }) => verified)).toEqual([true, true, false, false]);
    expect(placed[2]!.message).toContain('nonsense');
    await client.stopped();
    expect((await here(client)).values).toMatchObject({ n: '3' });
    expect(client.said('console')).toMatch(/^round 2 of "errands", <No symbol "nonsense" in .*> \{x\}$/m);

    // A step over a log point is a step.
    await client.setBreakpoints(SOURCE, [
      { line: at('int even = doubled'), logMessage: 'here', condition: 'round > 5' },
    ]);
    const set = (command: string, breakpoints: object[]) =>
      client.request<{ breakpoints: DebugProtocol.Breakpoint[] }>(command, { breakpoints });
    await set('setFunctionBreakpoints', [{ name: 'twice', condition: 'n == 6' }]);
    await resume(client);
    expect(await client.stopped()).toMatchObject({ reason: 'function breakpoint' });
    await client.request('stepOut', { threadId: 1 });
    await client.stopped();
    expect((await next(client, 2)).line).toBe(at('int even = doubled'));
    expect((await next(client)).line).toBe(at('tally->sum += even'));
    expect(client.said('console').match(/^here$/gm)).toHaveLength(1);
    await set('setFunctionBreakpoints', []);

    const frameId = (await client.stack())[0]!.id;
    const info = await client.request<DebugProtocol.DataBreakpointInfoResponse['body']>(
      'dataBreakpointInfo',
      {
        name: 'milestones',
        frameId,
      },
    );
    await set('setDataBreakpoints', [{ dataId: info.dataId, accessType: 'write' }]);
    await resume(client);
    expect(await client.stopped()).toMatchObject({ reason: 'data breakpoint' });
    await client.request('godwit.migrate', { node: 'node2' });
    expect((await here(client)).values).toMatchObject({ round: '10' });
    await resume(client);
    await client.stopped();
    expect((await here(client)).values).toMatchObject({ round: '20' });
    await set('setDataBreakpoints', []);

    const pc = (await client.stack())[0]!.instructionPointerReference;
    await set('setInstructionBreakpoints', [{ instructionReference: pc }]);
    await resume(client);
    expect(await client.stopped()).toMatchObject({ reason: 'instruction breakpoint' });
    expect((await here(client)).values).toMatchObject({ round: '21' });
    await client.request('next', { threadId: 1, granularity: 'instruction' });
    await client.stopped();
    await client.request('disconnect');
  });
});
