import { Duplex } from 'node:stream';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ClusterSnapshot } from '../../agent/api/client-events';
import { nodeUnreachable, noSuchJob } from '../../agent/api/errors';
import type { HistoryEvent, Job, Node } from '../../agent/api/model';
import {
  ConsoleReader,
  type ConsoleSink,
  TAIL_BYTES,
  WINDOW_BYTES,
} from '../../extension/panels/console-reader';
import { HistoryReader, JOBS_SHOWN, type JobHistory, SECOND_LOOK_MS } from '../../extension/panels/history';
import { LoadSamples, SAMPLES_KEPT } from '../../extension/panels/samples';
import { FromWebview, type Reading, ToConsole, ToLoad, ToTimeline } from '../../webviews/messages';

const BEGIN = Date.parse('2027-03-05T14:00:00.000Z');
const moment = (at: number) => new Date(BEGIN + at).toISOString();

const aNode = (more: Partial<Node> = {}): Node => ({
  ...{ name: 'node1', address: '10.0.0.1', state: 'up', cpus: 2, speed: 1, load: 0.5, jobs: 1 },
  ...{ memTotal: 1000, memFree: 400 },
  ...more,
});

const aJob = (more: Partial<Job> = {}): Job => ({
  ...{ id: 'aaaaaaaaaa', name: 'sim', command: ['/bin/sim'], state: 'running', home: 'node1', node: 'node1' },
  ...{ pid: 2, cpu: 0, rss: 0, migrations: 0, debugged: false, pinned: false, exit: null, epoch: 0 },
  ...{ user: 'root', address: null, started: moment(0), ended: null },
  ...more,
});

const snapshot = (at: number, more: Partial<ClusterSnapshot> = {}): ClusterSnapshot => ({
  ...{ time: moment(at), nodes: [aNode()], jobs: [], moves: [] },
  ...more,
});

describe('the samples of the load', () => {
  it('are one a second, however often the cluster speaks', () => {
    const samples = new LoadSamples();
    for (let at = 0; at <= 10_000; at += 100) samples.take(snapshot(at));
    const { series } = samples.loads[0]!;
    expect(series.at.length).toBeGreaterThanOrEqual(6);
    expect(series.at.length).toBeLessThanOrEqual(12);
    expect(series.at.at(-1)).toBe(BEGIN + 10_000);
  });

  it('lose none of those that come once a second, a little early or late', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -200, max: 200 }), { maxLength: 100 }), (lateness) => {
        const samples = new LoadSamples();
        lateness.forEach((late, second) => {
          samples.take(snapshot(second * 1000 + 200 + late));
        });
        expect(samples.loads[0]?.series.at.length ?? 0).toBe(lateness.length);
      }),
    );
  });

  it('are bounded, and of two minutes', () => {
    const samples = new LoadSamples();
    for (let second = 0; second < 1000; second++) samples.take(snapshot(second * 1000));
    const { at, cpu, memory } = samples.loads[0]!.series;
    expect([at.length, cpu.length, memory.length]).toEqual([SAMPLES_KEPT, SAMPLES_KEPT, SAMPLES_KEPT]);
    expect(at[0]).toBe(BEGIN + (1000 - SAMPLES_KEPT) * 1000);
    expect(at.every((time, index) => index === 0 || time > at[index - 1]!)).toBe(true);
  });

  it('say nothing of a node that does not answer, and keep its scale', () => {
    const samples = new LoadSamples();
    samples.take(snapshot(0));
    samples.take(snapshot(1000, { nodes: [aNode({ state: 'down', cpus: 0, memTotal: 0, memFree: 0 })] }));
    const [node] = samples.loads;
    expect(node).toMatchObject({ state: 'down', cpus: 2, memTotal: 1000 });
    expect(node?.series).toMatchObject({ cpu: [0.5, null], memory: [600, null] });
  });

  it('forget a node that left the cluster', () => {
    const samples = new LoadSamples();
    samples.take(snapshot(0, { nodes: [aNode(), aNode({ name: 'node2' })] }));
    samples.take(snapshot(1000));
    expect(samples.loads.map(({ name }) => name)).toEqual(['node1']);
  });

  it('begin again with a clock that is far behind', () => {
    const samples = new LoadSamples();
    samples.take(snapshot(60_000));
    samples.take(snapshot(0));
    expect(samples.loads[0]?.series.at).toEqual([BEGIN]);
  });

  it('are what the webview takes', () => {
    const samples = new LoadSamples();
    samples.take(snapshot(0));
    const message = { type: 'load', connected: true, problem: null, now: samples.now, nodes: samples.loads };
    expect(ToLoad.parse(message)).toEqual(message);
  });
});

describe('the messages', () => {
  it('carry the bytes of a console as they are', () => {
    const bytes = Uint8Array.of(0, 27, 255);
    const message = { type: 'bytes', reader: 1, offset: 0, bytes };
    expect(ToConsole.parse(structuredClone(message))).toEqual(message);
  });

  it.each([
    { type: 'command', command: 'workbench.action.terminal.sendSequence' },
    { type: 'show-console', job: '../../etc' },
    { type: 'taken', reader: -1, offset: 0 },
    { type: 'unheard-of' },
    null,
  ])('from a webview are refused if they are not of the contract: %j', (message) => {
    expect(FromWebview.safeParse(message).success).toBe(false);
  });

  it('of a timeline are refused without their jobs', () => {
    expect(ToTimeline.safeParse({ type: 'timeline', connected: true, now: 0 }).success).toBe(false);
  });
});

describe('the history', () => {
  const launched: HistoryEvent = { time: moment(0), job: 'aaaaaaaaaa', node: 'node1', event: 'launched' };
  let jobs: Job[];
  let asked: number;
  let fail: Error | undefined;
  let told: JobHistory[];
  let reader: HistoryReader;

  beforeEach(() => {
    vi.useFakeTimers();
    [jobs, asked, fail, told] = [[aJob()], 0, undefined, []];
    const call = async (method: string) => {
      if (fail) throw fail;
      if (method === 'jobs.list') return { jobs };
      asked++;
      return { events: [launched] };
    };
    reader = new HistoryReader({ call } as never, (history) => told.push(history));
  });

  afterEach(() => {
    reader.dispose();
    vi.useRealTimers();
  });

  const settle = () => vi.advanceTimersByTimeAsync(SECOND_LOOK_MS + 10);

  it('is asked for when a job changes, again a little later, and not for every second’s load', async () => {
    reader.take(snapshot(0, { jobs: [aJob()] }));
    await settle();
    expect(asked).toBe(2);
    for (let second = 1; second < 10; second++)
      reader.take(snapshot(second * 1000, { jobs: [aJob({ cpu: second })] }));
    await settle();
    expect(asked).toBe(2);
    reader.take(snapshot(10_000, { jobs: [aJob({ node: 'node2', epoch: 1 })] }));
    await settle();
    expect(asked).toBe(4);
    expect(told.at(-1)).toMatchObject({ events: [launched], problem: null });
  });

  it('asks one question at a time, however fast things change', async () => {
    for (let epoch = 0; epoch < 50; epoch++) reader.take(snapshot(epoch, { jobs: [aJob({ epoch })] }));
    await settle();
    expect(asked).toBeLessThanOrEqual(3);
  });

  it('says why it is out of date, keeps what it has, and asks again with the next snapshot', async () => {
    reader.take(snapshot(0, { jobs: [aJob()] }));
    await settle();
    fail = nodeUnreachable('node2', 'no answer');
    reader.take(snapshot(1000, { jobs: [aJob({ epoch: 1 })] }));
    await settle();
    expect(told.at(-1)).toMatchObject({ events: [launched], problem: expect.stringContaining('node2') });
    fail = undefined;
    reader.take(snapshot(2000, { jobs: [aJob({ epoch: 1 })] }));
    await settle();
    expect(told.at(-1)?.problem).toBeNull();
  });

  it('has all that live, the latest of those that are over, and says how many are left out', async () => {
    jobs = Array.from({ length: JOBS_SHOWN + 50 }, (_, index) =>
      aJob({ id: `job${index}`, started: moment(index * 1000), state: index < 10 ? 'running' : 'ended' }),
    );
    reader.take(snapshot(0));
    await settle();
    const shown = told.at(-1)!;
    expect(shown.jobs).toHaveLength(JOBS_SHOWN);
    expect(shown.leftOut).toBe(50);
    expect(shown.jobs.filter(({ state }) => state === 'running')).toHaveLength(10);
    expect(shown.jobs[0]?.id).toBe(`job${JOBS_SHOWN + 49}`);
  });

  it('keeps the jobs of a home that does not answer, until it answers again', async () => {
    const nodes = [aNode(), aNode({ name: 'node2', state: 'down' })];
    const other = aJob({ id: 'bbbbbbbbbb', home: 'node2' });
    jobs = [aJob(), other];
    reader.take(snapshot(0));
    await settle();
    jobs = [aJob()];
    reader.take(snapshot(1000, { nodes, jobs: [aJob({ epoch: 1 })] }));
    await settle();
    expect(told.at(-1)?.jobs).toContainEqual(other);
    reader.take(snapshot(2000, { nodes: [aNode(), aNode({ name: 'node2' })], jobs: [aJob({ epoch: 2 })] }));
    await settle();
    expect(told.at(-1)?.jobs).not.toContainEqual(other);
  });

  it('reports nothing any more after its end', async () => {
    reader.take(snapshot(0, { jobs: [aJob()] }));
    reader.dispose();
    await settle();
    expect(told).toEqual([]);
  });
});

/** A console whose streams come in pieces, and are cut where the test says. */
class FakeConsole {
  refusals: Error[] = [];
  opened: number[] = [];
  /** Bytes that have left the agent. */
  read = 0;
  private offset = 0;

  constructor(
    private readonly content: Buffer,
    private readonly pieces: number[],
    private readonly cuts: number[],
  ) {}

  call = async (_method: string, { offset }: { offset: number }) => {
    const refusal = this.refusals.shift();
    if (refusal) throw refusal;
    this.offset = offset;
    return { ticket: 'ticket', id: 'aaaaaaaaaa', size: this.content.length };
  };

  openStream = async (): Promise<Duplex> => {
    this.opened.push(this.offset);
    let at = this.offset;
    const cut = this.cuts.shift() ?? Number.POSITIVE_INFINITY;
    let piece = 0;
    const stream = new Duplex({
      read: () => {
        if (at - this.offset >= cut) stream.destroy(new Error('cut'));
        else if (at >= this.content.length) stream.push(null);
        else {
          const length = this.pieces[piece++ % this.pieces.length]!;
          const chunk = this.content.subarray(at, at + length);
          at += chunk.length;
          this.read = Math.max(this.read, at);
          stream.push(chunk);
        }
      },
      write: (_chunk, _encoding, done) => done(),
    });
    stream.on('error', () => {});
    return stream;
  };
}

class Screen implements ConsoleSink {
  begun: number[] = [];
  readings: Reading['at'][] = [];
  private readonly shown: Buffer[] = [];
  private next = 0;
  reader: ConsoleReader | undefined;

  constructor(private readonly onBytes: (screen: Screen, end: number) => void) {}

  begin(offset: number): void {
    this.begun.push(offset);
    this.next = offset;
  }

  bytes(offset: number, bytes: Uint8Array): void {
    if (this.shown.length === 0) this.next = offset;
    expect(offset).toBe(this.next);
    this.next += bytes.length;
    this.shown.push(Buffer.from(bytes));
    this.onBytes(this, this.next);
  }

  reading({ at }: Reading): void {
    this.readings.push(at);
  }

  get content(): Buffer {
    return Buffer.concat(this.shown);
  }
}

const atOnce = (screen: Screen, end: number) => screen.reader!.acknowledge(end);

const read = (source: FakeConsole, screen: Screen): Promise<void> => {
  screen.reader = new ConsoleReader(source as never, 'aaaaaaaaaa', screen);
  return screen.reader.run();
};

describe('a console', () => {
  it('has every byte once and in order, wherever its streams are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 0, maxLength: 3000 }),
        fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 5 }),
        fc.option(fc.integer({ min: 0, max: 2000 })),
        async (bytes, pieces, cut) => {
          const content = Buffer.from(bytes);
          const source = new FakeConsole(content, pieces, cut === null ? [] : [cut]);
          const screen = new Screen(atOnce);
          await read(source, screen);
          expect(screen.content.equals(content)).toBe(true);
          expect(screen.begun).toEqual([0]);
          expect(screen.readings.at(-1)).toBe('whole');
        },
      ),
      // A cut costs a pause of a real clock.
      { numRuns: 12 },
    );
  }, 120_000);

  it('is read no faster than it is shown', async () => {
    const content = Buffer.alloc(WINDOW_BYTES * 4, 'x');
    const source = new FakeConsole(content, [100_000], []);
    let held = 0;
    const screen = new Screen((_screen, end) => {
      held = end;
    });
    const done = read(source, screen);
    await vi.waitFor(() => expect(held).toBeGreaterThan(WINDOW_BYTES));
    await new Promise((resolve) => setTimeout(resolve, 50));
    // One message beyond the window, and what the stream itself holds.
    expect(held).toBeLessThanOrEqual(WINDOW_BYTES + 64 * 1024);
    expect(source.read).toBeLessThanOrEqual(WINDOW_BYTES + 500_000);
    const acknowledge = setInterval(() => screen.reader!.acknowledge(held), 1);
    await done;
    clearInterval(acknowledge);
    expect(screen.content.length).toBe(content.length);
  });

  it('begins at a whole line of its end when it is long', async () => {
    const lines = Buffer.from(Array.from({ length: 600_000 }, (_, line) => `line ${line}\n`).join(''));
    const source = new FakeConsole(lines, [60_000], []);
    const screen = new Screen(atOnce);
    await read(source, screen);
    expect(screen.begun).toEqual([lines.length - TAIL_BYTES]);
    expect(source.opened).toEqual([lines.length - TAIL_BYTES]);
    expect(screen.content.toString()).toMatch(/^line \d+\n/);
    expect(lines.subarray(-screen.content.length).equals(screen.content)).toBe(true);
    expect(screen.content.length).toBeGreaterThan(TAIL_BYTES - 100);
  });

  it('is waited for while no agent answers', async () => {
    const source = new FakeConsole(Buffer.from('hello\n'), [10], []);
    source.refusals = [nodeUnreachable('node1', 'no answer'), nodeUnreachable('node1', 'no answer')];
    const screen = new Screen(atOnce);
    const done = read(source, screen);
    await vi.waitFor(() => expect(screen.readings).toContain('interrupted'));
    await done;
    expect(screen.content.toString()).toBe('hello\n');
  });

  it('of an unknown job is given up at once', async () => {
    const source = new FakeConsole(Buffer.alloc(0), [1], []);
    source.refusals = [noSuchJob('aaaaaaaaaa')];
    const screen = new Screen(atOnce);
    await read(source, screen);
    expect(screen.readings).toEqual(['failed']);
  });

  it('is left alone when it is not wanted any more', async () => {
    const source = new FakeConsole(Buffer.alloc(WINDOW_BYTES * 4, 'x'), [100_000], []);
    const screen = new Screen(() => {});
    const done = read(source, screen);
    await vi.waitFor(() => expect(screen.content.length).toBeGreaterThan(0));
    screen.reader!.dispose();
    await done;
    expect(screen.readings).not.toContain('whole');
  });
});
