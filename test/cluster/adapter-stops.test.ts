/** Stops, steps, breakpoints and ends in the debug adapter: what they cost, and what is said of them; at home and away. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { lineOf } from '../support/c-programs';
import type { DapRefusal } from '../support/dap';
import { type Begin, type Debugged, DebugLab } from '../support/debug-lab';
import { inProject } from '../support/project';

const STOPS = inProject('test', 'fixtures', 'programs', 'stops.cpp');
const SLEEPERS = inProject('test', 'fixtures', 'programs', 'sleepers.c');
const at = (text: string) => lineOf(STOPS, `/* ${text} */`);

let labs: DebugLab;
let stops = '';
let sleepers = '';

beforeAll(async () => {
  labs = await DebugLab.up(`t${process.pid}-stops`);
  stops = await labs.compile(STOPS, ['g++', '-g', '-O0', '-pthread'], 'stops');
  sleepers = await labs.compile(SLEEPERS, ['gcc', '-D_GNU_SOURCE', '-g', '-O0', '-pthread'], 'sleepers');
});
afterEach(() => labs.clear());
afterAll(() => labs?.lab.down());

const launch = (args: (string | number)[], options: Begin = {}) => labs.launch(stops, STOPS, args, options);

/** What gdb sends and hears, in a file. */
class Packets {
  private constructor(readonly path: string) {}

  static in(name: string): Packets {
    const folder = join(labs.lab.folder, 'packets');
    mkdirSync(folder, { recursive: true });
    return new Packets(join(folder, name));
  }

  get setup(): { setupCommands: string[] } {
    return { setupCommands: [`set remotelogfile ${this.path}`] };
  }

  /** How many were sent meanwhile. */
  async during(work: () => Promise<unknown>): Promise<number> {
    const before = this.sent();
    await work();
    return this.sent() - before;
  }

  private sent(): number {
    return readFileSync(this.path, 'utf8').match(/^w \$/gm)?.length ?? 0;
  }
}

const places = ['home', 'away'] as const;
const brought = async (session: Debugged, place: (typeof places)[number]) => {
  if (place === 'away') await session.move('node2');
};

describe.each(places)('what a step costs, %s', (place) => {
  it('does not depend on the depth of the stack', async () => {
    const packets = Packets.in(`depth-${place}`);
    const session = await launch([10], {
      breakpoints: [{ line: at('calls') }],
      config: packets.setup,
    });
    await session.client.stopped();
    await brought(session, place);
    const next = () => session.client.request('next', { threadId: 1 }).then(() => session.client.stopped());
    await session.client.setBreakpoints(STOPS, [{ line: at('depth'), condition: 'n == 0' }]);
    await session.on('breakpoint');
    await session.client.setBreakpoints(STOPS, []);
    // The first reads code and the end of the stack that later ones know.
    await next();
    const deep = await packets.during(next);
    const out = await packets.during(() =>
      session.client.request('stepOut', { threadId: 1 }).then(() => session.client.stopped()),
    );
    expect((await session.stack()).length).toBeGreaterThan(90);
    expect(deep).toBeLessThan(20);
    expect(out).toBeLessThan(40);
  });

  it('does not depend on the number of breakpoints', async () => {
    const packets = Packets.in(`many-${place}`);
    const session = await launch([1000], { breakpoints: [{ line: at('calls') }], config: packets.setup });
    await session.client.stopped();
    await brought(session, place);
    const next = () => session.client.request('next', { threadId: 1 }).then(() => session.client.stopped());
    const round = async () => {
      await next();
      return packets.during(next);
    };
    const few = await round();
    const { instructions } = await session.client.request<{ instructions: { address: string }[] }>(
      'disassemble',
      {
        memoryReference: (await session.stack())[0]!.instructionPointerReference,
        instructionOffset: 0,
        instructionCount: 200,
      },
    );
    // In code that does not run any more.
    const far = instructions
      .slice(100)
      .map(({ address }) => ({ instructionReference: address, condition: '0' }));
    const placed = await session.client.request<{ breakpoints: DebugProtocol.Breakpoint[] }>(
      'setInstructionBreakpoints',
      { breakpoints: far },
    );
    expect(placed.breakpoints.every(({ verified }) => verified)).toBe(true);
    await session.on('breakpoint');
    const many = await round();
    expect(many).toBeLessThanOrEqual(few + 10);
  });

  it('threads are listed with their names, by a question or two for all of them', async () => {
    const packets = Packets.in(`threads-${place}`);
    const session = await launch([10, 'threads'], {
      breakpoints: [{ line: at('dives') }],
      config: packets.setup,
    });
    await session.client.stopped();
    await brought(session, place);
    let threads: DebugProtocol.Thread[] = [];
    const list = async () => {
      threads = (await session.client.request<DebugProtocol.ThreadsResponse['body']>('threads')).threads;
    };
    // At a new stop: what gdb has asked about a thread it knows until the next.
    await session.step();
    const cost = await packets.during(list);
    const names = threads.map(({ name }) => name);
    expect(threads).toHaveLength(65);
    for (let idle = 0; idle < 64; idle++) expect(names).toContain(`idle-${idle}`);
    expect(cost).toBeLessThan(8);
  });
});

describe('breakpoints', () => {
  it.each<[string, number[]]>([
    ['3', [3]],
    ['=3', [3]],
    ['== 3', [3]],
    ['>=4', [4, 5, 6]],
    ['>4', [5, 6, 7]],
    ['%3', [3, 6, 9]],
    ['<3', [1, 2]],
    ['<=2', [1, 2]],
  ])('hit count %s', async (hitCondition, rounds) => {
    const session = await launch([10], { breakpoints: [{ line: at('calls'), hitCondition }] });
    for (const [index, round] of rounds.entries()) {
      if (index === 0) await session.client.stopped();
      else await session.on('breakpoint');
      expect(await session.client.evaluate('round', (await session.stack())[0]!.id)).toBe(String(round));
      if (index === 0) await session.move('node2');
    }
    const ends = !hitCondition.startsWith('>') && !hitCondition.startsWith('%');
    if (!ends) return;
    await session.resume();
    await session.client.outputHas('done');
    expect(session.client.all('stopped')).toHaveLength(rounds.length);
  });

  it('that make no sense are not verified, with the reason', async () => {
    const breakpoints = [
      { line: at('calls'), hitCondition: 'often' },
      { line: at('cell'), hitCondition: '<1' },
      { line: at('dives'), condition: 'nonsense > 1' },
    ];
    const { placed } = await launch([10], { breakpoints });
    expect(placed.map(({ verified, message }) => [verified, message])).toEqual([
      [false, expect.stringContaining('often')],
      [false, expect.stringContaining('never')],
      [false, expect.stringContaining('nonsense')],
    ]);
  });

  it.each(places)('of data are as many as there are debug registers, %s', async (place) => {
    const session = await launch([100], { breakpoints: [{ line: at('calls') }] });
    await session.client.stopped();
    await brought(session, place);
    const frameId = (await session.stack())[0]!.id;
    const ids = await Promise.all(
      [0, 1, 2, 3, 4].map(async (index) => {
        const info = await session.client.request<DebugProtocol.DataBreakpointInfoResponse['body']>(
          'dataBreakpointInfo',
          { name: `cells[${index}]`, frameId },
        );
        return info.dataId!;
      }),
    );
    const set = async (dataIds: string[]) =>
      (
        await session.client.request<{ breakpoints: DebugProtocol.Breakpoint[] }>('setDataBreakpoints', {
          breakpoints: dataIds.map((dataId) => ({ dataId, accessType: 'write' })),
        })
      ).breakpoints;
    const placed = await set(ids);
    expect(placed.map(({ verified }) => verified)).toEqual([true, true, true, true, false]);
    expect(placed[4]!.message).toContain('debug registers');
    await session.client.setBreakpoints(STOPS, []);
    expect(await session.on()).toMatchObject({ reason: 'data breakpoint' });
    // One that is given up is free for another.
    expect((await set(ids.slice(1))).every(({ verified }) => verified)).toBe(true);
    await session.move('node3');
    expect(await session.on()).toMatchObject({ reason: 'data breakpoint' });
  });

  it('of data are at an address, with a size', async () => {
    const session = await launch([100], { breakpoints: [{ line: at('calls') }] });
    await session.client.stopped();
    const frameId = (await session.stack())[0]!.id;
    const address = (await session.client.evaluate('&cells[1]', frameId))
      .split(' ')
      .find((word) => /^0x/.test(word))!;
    const info = await session.client.request<DebugProtocol.DataBreakpointInfoResponse['body']>(
      'dataBreakpointInfo',
      {
        name: address,
        asAddress: true,
        bytes: 8,
      },
    );
    const placed = await session.client.request<{ breakpoints: DebugProtocol.Breakpoint[] }>(
      'setDataBreakpoints',
      {
        breakpoints: [{ dataId: info.dataId, accessType: 'write' }],
      },
    );
    expect(placed.breakpoints).toMatchObject([{ verified: true }]);
    await session.client.setBreakpoints(STOPS, []);
    await session.move('node2');
    await session.on('data breakpoint');
    expect(await session.client.evaluate('cells[1]', (await session.stack())[0]!.id)).toBe('4');
  });

  it.each(places)('that log print texts as texts, %s', async (place) => {
    const session = await launch([10], { breakpoints: [{ line: at('calls') }] });
    await session.client.stopped();
    await brought(session, place);
    await session.client.setBreakpoints(STOPS, [
      { line: at('cell'), logMessage: 'label {label} sum {sum}', hitCondition: '%2' },
      { line: at('dives'), condition: 'round == 6' },
    ]);
    await session.on('breakpoint');
    expect(session.client.said('console').match(/^label .*$/gm)).toEqual([
      'label "first" sum 6',
      'label "first" sum 10',
      'label "first" sum 14',
    ]);
  });
});

describe('what the client hears', () => {
  it.each(places)('the value that a function returned, %s', async (place) => {
    const session = await launch([10], { breakpoints: [{ line: lineOf(STOPS, 'int result = 2 * n') }] });
    await session.client.stopped();
    await brought(session, place);
    await session.client.request('stepOut', { threadId: 1 });
    expect(await session.client.stopped()).toMatchObject({
      reason: 'step',
      description: 'Paused after return of 4',
    });
    await session.client.outputHas('Returned: 4');
  });

  it('that a request is not served, instead of an empty success', async () => {
    const session = await launch([10], { breakpoints: [{ line: at('calls') }] });
    await session.client.stopped();
    for (const command of ['stepBack', 'reverseContinue', 'restartFrame', 'source', 'terminateThreads']) {
      const refusal = await session.client
        .request(command, { threadId: 1 })
        .catch((error: DapRefusal) => error);
      expect((refusal as DapRefusal).message).toContain(`does not serve the request "${command}"`);
    }
  });

  it('which keys of its configuration mean nothing', async () => {
    const { client } = await launch([10], {
      config: { stopAtEntri: true, colour: 'red', preLaunchTask: 'x', __sessionId: 'y' },
    });
    await client.outputHas('done');
    const said = client.said('important');
    expect(said).toContain(
      '"stopAtEntri" is not known to this debug configuration and was ignored; did you mean "stopAtEntry"?',
    );
    expect(said).toContain('"colour" is not known');
    expect(said).not.toContain('preLaunchTask');
    expect(said).not.toContain('__sessionId');
  });

  it('that a command of gdb changed memory, in events and not in words', async () => {
    const session = await launch([10], {
      breakpoints: [{ line: at('cell') }],
      client: { supportsMemoryEvent: true, supportsInvalidatedEvent: true },
    });
    await session.client.stopped();
    await session.client.evaluate('>set var cells[0]=5', (await session.stack())[0]!.id, 'repl');
    await session.client.event('memory');
    await session.client.event('invalidated');
    expect(JSON.stringify(session.client.events)).not.toContain('unhandled');
    expect(session.client.stderr).not.toContain('unhandled');
  });

  it('why the program can not go on', async () => {
    const session = await launch([100], { breakpoints: [{ line: at('calls') }] });
    await session.client.stopped();
    const frame = (await session.stack())[0]!.id;
    await session.client.evaluate('>set breakpoint always-inserted off', frame, 'repl');
    for (let index = 0; index < 5; index++)
      await session.client.evaluate(`>watch cells[${index}]`, frame, 'repl').catch(() => {});
    await session.resume().catch(() => {});
    const stop = await session.client.stopped();
    expect(stop).toMatchObject({ reason: 'pause', text: expect.stringContaining('hardware watchpoint') });
    await session.client.outputHas("The program can't go on: ");
  });

  it('that children of a fork are not debugged, once', async () => {
    const session = await launch([10, 'fork'], {
      breakpoints: [{ line: at('child') }, { line: at('forked') }],
    });
    expect((await session.client.stopped()).reason).toBe('breakpoint');
    expect(await session.line()).toBe(at('forked'));
    expect(session.client.said('important').match(/The program has forked/g)).toHaveLength(1);
  });
});

describe('a wish to end', () => {
  it.each(places)('is a SIGTERM first, which the program may take its time for, %s', async (place) => {
    const session = await launch([5, 'term'], { breakpoints: [{ line: at('calls') }] });
    await session.client.stopped();
    await session.client.setBreakpoints(STOPS, []);
    await brought(session, place);
    // While it stands: it is let go for it.
    await session.client.request('terminate');
    expect(await session.client.event('exited')).toEqual({ exitCode: 7 });
    await session.client.event('terminated');
    expect(session.output).toContain('asked');
  });

  it('ends a program that does not expect it', async () => {
    const session = await launch([5]);
    await session.client.outputHas('done');
    await session.client.request('terminate');
    expect(await session.client.event('exited')).toEqual({ exitCode: 143 });
  });

  it('is SIGKILL when it is repeated', async () => {
    const session = await launch([1000], {
      breakpoints: [{ line: at('calls') }],
      config: { args: ['1000000', 'term'] },
    });
    await session.client.stopped();
    await session.client.request('terminate');
    expect((await session.client.stopped()).reason).toBe('breakpoint');
    await session.client.request('terminate');
    expect(await session.client.event('exited')).toEqual({ exitCode: 137 });
  });
});

it('a sleep that is paused, moved and continued goes on', async () => {
  const session = await labs.launch(sleepers, SLEEPERS, []);
  await session.client.outputHas('asleep');
  const pause = async () => {
    await session.client.request('pause', { threadId: 1 });
    expect((await session.client.stopped()).reason).toBe('pause');
  };
  await pause();
  const awake = lineOf(SLEEPERS, '/* awake */');
  await session.client.setBreakpoints(SLEEPERS, [{ line: awake }]);
  for (const node of ['node2', 'node3', 'node1']) {
    // Interrupted twice where it is: the second time, the kernel has the call go on by notes of its own.
    await session.resume();
    await pause();
    await session.move(node);
    await session.resume();
    await pause();
    expect((await session.stack()).map(({ name }) => name)).toEqual(['main()']);
    expect(await session.client.evaluate('over', (await session.stack())[0]!.id)).toBe('0');
  }
  await session.client.setBreakpoints(SLEEPERS, []);
  await session.resume();
  await session.lab.ask('node1', 'jobs.kill', { job: session.job, signal: 'SIGUSR1' });
  expect(await session.client.stopped()).toMatchObject({ reason: 'exception' });
  await session.resume();
  expect(await session.client.event('exited')).toEqual({ exitCode: 0 });
  expect(session.output).toMatch(/^asleep\nleft \d+ over 0\n$/);
});

it.each(places)('an error inside gdb ends what was asked, and not the session, %s', async (place) => {
  const session = await launch([10], { breakpoints: [{ line: at('calls') }] });
  await session.client.stopped();
  await brought(session, place);
  const frame = (await session.stack())[0]!.id;
  const broken = session.client.evaluate('>maintenance internal-error made for this test', frame, 'repl');
  await expect(broken).rejects.toThrow(/an error of its own/);
  await session.step();
  expect(await session.client.evaluate('1 + 1', (await session.stack())[0]!.id)).toBe('2');
});

it('a child that gdb was told to follow', async () => {
  const session = await launch([10, 'fork'], { breakpoints: [{ line: at('forks') }] });
  await session.client.stopped();
  await session.client.evaluate('>set follow-fork-mode child', (await session.stack())[0]!.id, 'repl');
  await session.client.setBreakpoints(STOPS, [{ line: at('child') }]);
  const { threadId } = await session.on('breakpoint');
  for (const node of ['node2', 'node3']) {
    await session.move(node);
    expect(await session.line(threadId)).toBe(at('child'));
  }
  await session.client.request('next', { threadId });
  expect(await session.client.stopped()).toMatchObject({ reason: 'step' });
  await session.client.request('continue', { threadId });
  expect(await session.client.event('exited')).toEqual({ exitCode: 5 });
  await session.lab.comesTo(async () =>
    session.output.includes('child 5') ? null : 'the parent waits still',
  );
});
