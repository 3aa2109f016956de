import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { duplexPair } from 'node:stream';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { checkHellos, connectWire, joinWires, type WireHello } from '../../agent/machine/homefs/join';
import { SANITIZED } from '../support/c-programs';
import { end, launch } from '../support/processes';
import { inProject } from '../support/project';
import { WireLink } from '../support/wire-link';

const HELLO_BYTES = 96;
/** Slow machines under load; nothing here takes that long. */
const PATIENCE = { timeout: 60_000, interval: 5 };

let folder: string;
/** An end's program as it is, and with threads that are slow to come back from the kernel. */
let programs: { usual: string; late: string };

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-wire-'));
  const wire = inProject('agent', 'native', 'homefs', 'wire.c');
  programs = {
    usual: compile('wire-cat', [wire]),
    late: compile(
      'wire-late',
      [wire, inProject('test', 'programs', 'late-sendmsg.c')],
      '-Dsendmsg=late_sendmsg',
    ),
  };
});

function compile(name: string, sources: string[], ...flags: string[]): string {
  const program = join(folder, name);
  const all = [inProject('test', 'programs', 'wire-cat.c'), ...sources];
  const standard = ['-std=gnu11', '-D_GNU_SOURCE', '-O1', '-g', '-pthread'];
  execFileSync('cc', [...standard, ...flags, ...SANITIZED, '-o', program, ...all]);
  return program;
}

afterAll(() => rmSync(folder, { recursive: true }));

let made = 0;
const ends: End[] = [];
afterEach(() => {
  for (const one of ends.splice(0)) one.end();
});

/** One end of a wire in a process of its own: what was sent into it, and what came out of it. */
class End {
  readonly socket = join(folder, `${made++}`);
  readonly sent = createHash('sha256');
  readonly heard = createHash('sha256');
  sentBytes = 0;
  heardBytes = 0;
  readonly #process;

  constructor({ id = 'one', program = programs.usual } = {}) {
    this.#process = launch([program, this.socket, id]);
    this.#process.stdout!.on('data', (chunk: Buffer) => {
      this.heardBytes += chunk.length;
      this.heard.update(chunk);
    });
    ends.push(this);
  }

  send(size: number, seed: number): void {
    const record = Buffer.alloc(4 + size, `${seed}.`);
    record.writeUInt32LE(size);
    this.sentBytes += record.length;
    this.sent.update(record);
    this.#process.stdin!.write(record);
  }

  end(): void {
    end(this.#process);
  }
}

async function pair(program = programs.usual): Promise<{ left: End; right: End; link: WireLink }> {
  const [left, right] = [new End({ program }), new End({ program })];
  await vi.waitFor(
    () => expect([left, right].every(({ socket }) => existsSync(socket))).toBe(true),
    PATIENCE,
  );
  return { left, right, link: new WireLink(left.socket, right.socket) };
}

/** As an agent does, joins them as often as it takes. */
async function allHeard(left: End, right: End, link: WireLink): Promise<void> {
  await vi.waitFor(() => {
    if (!link.isUp) link.join();
    expect([left.heardBytes, right.heardBytes]).toEqual([right.sentBytes, left.sentBytes]);
  }, PATIENCE);
  expect(left.heard.copy().digest('hex')).toBe(right.sent.copy().digest('hex'));
  expect(right.heard.copy().digest('hex')).toBe(left.sent.copy().digest('hex'));
}

type Step =
  | { do: 'send'; from: 'left' | 'right'; size: number }
  | { do: 'join'; budget: number }
  | { do: 'cut' }
  | { do: 'wait'; turns: number };

const size = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 300 }) },
  { weight: 2, arbitrary: fc.integer({ min: 60_000, max: 70_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 900_000, max: 1 << 20 }) },
);
const budget = fc.oneof(
  fc.integer({ min: 1, max: 3 * HELLO_BYTES }),
  fc.integer({ min: 1, max: 4000 }),
  fc.integer({ min: 1, max: 3_000_000 }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('send'), from: fc.constantFrom('left', 'right'), size }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('join'), budget }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cut') }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('wait'), turns: fc.integer({ min: 1, max: 20 }) }) },
) as fc.Arbitrary<Step>;

async function settle(turns: number): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
}

describe('a wire', () => {
  it.each([
    ['', 'usual' as const],
    [', however late its threads come back from the kernel', 'late' as const],
  ])(
    'brings every byte once and in order, whatever is cut and joined%s',
    {
      timeout: 300_000,
    },
    async (_how, program) => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
          const { left, right, link } = await pair(programs[program]);
          for (const [nth, one] of steps.entries()) {
            if (one.do === 'send') (one.from === 'left' ? left : right).send(one.size, nth);
            else if (one.do === 'join') link.join(one.budget);
            else if (one.do === 'cut') link.cut();
            else await settle(one.turns);
          }
          await allHeard(left, right, link);
          left.end();
          right.end();
          link.cut();
        }),
        { numRuns: 60 },
      );
    },
  );

  it('goes on after a cut at each byte of its beginning', { timeout: 120_000 }, async () => {
    const { left, right, link } = await pair();
    for (let bytes = 1; bytes < 2 * HELLO_BYTES + 60; bytes++) {
      left.send(bytes % 7, bytes);
      right.send(bytes % 5, bytes);
      link.join(bytes);
      await settle(5);
    }
    await allHeard(left, right, link);
    link.cut();
  });

  it('has one who writes wait for one who does not read, and loses nothing', {
    timeout: 120_000,
  }, async () => {
    const { left, right, link } = await pair();
    const mib = 1 << 20;
    for (let i = 0; i < 32; i++) left.send(mib, i);
    link.join(20 * mib);
    await vi.waitFor(() => expect(right.heardBytes).toBeGreaterThan(8 * mib), PATIENCE);
    link.cut();
    expect(right.heardBytes).toBeLessThan(left.sentBytes);
    link.join();
    await allHeard(left, right, link);
    link.cut();
  });

  it('turns the end of another wire away, and goes on with its own', async () => {
    const { left, right, link } = await pair();
    const stranger = new End({ id: 'another' });
    await vi.waitFor(() => expect(existsSync(stranger.socket)).toBe(true), PATIENCE);
    link.join();
    left.send(10, 1);
    await allHeard(left, right, link);
    stranger.send(10, 2);
    left.send(10, 3);
    new WireLink(left.socket, stranger.socket).join();
    await settle(50);
    link.join();
    await allHeard(left, right, link);
    expect(stranger.heardBytes).toBe(0);
    link.cut();
  });
});

function hello({ id, received, kept, written }: WireHello): Buffer {
  const bytes = Buffer.alloc(HELLO_BYTES);
  bytes.write('GWHOME1\0', 'latin1');
  bytes.write(id, 8);
  for (const [nth, count] of [received, kept, written].entries()) bytes.writeBigUInt64LE(count, 72 + 8 * nth);
  return bytes;
}

describe('joining', () => {
  const begun: WireHello = { id: 'one', received: 10n, kept: 5n, written: 20n };

  async function joined(a: Buffer, b: Buffer): Promise<{ end: Promise<void>; outer: [Duplex, Duplex] }> {
    const [near, nearOuter] = duplexPair();
    const [far, farOuter] = duplexPair();
    nearOuter.write(a);
    farOuter.write(b);
    return { end: joinWires(near, far), outer: [nearOuter, farOuter] };
  }

  it('carries the hellos and what follows them', async () => {
    const other = { ...begun, received: 20n, written: 10n };
    const { end: ended, outer } = await joined(
      Buffer.concat([hello(begun), Buffer.from('after')]),
      hello(other),
    );
    const [near, far] = outer;
    await vi.waitFor(() => expect(far.readableLength).toBe(HELLO_BYTES + 5), PATIENCE);
    expect(far.read()).toEqual(Buffer.concat([hello(begun), Buffer.from('after')]));
    expect(near.read()).toEqual(hello(other));
    for (const one of outer) one.resume().end();
    await ended;
  });

  it('of two different file systems is refused by name', async () => {
    const { end: ended } = await joined(hello(begun), hello({ ...begun, id: 'two' }));
    await expect(ended).rejects.toMatchObject({ code: 'not-the-same-files' });
  });

  it('with what is not a wire is refused by name', async () => {
    const { end: ended } = await joined(hello(begun), Buffer.alloc(HELLO_BYTES, 'x'));
    await expect(ended).rejects.toMatchObject({ code: 'not-the-same-files' });
  });

  it.each([
    ['a file server that was started again', { received: 0n, kept: 0n, written: 0n }],
    ['one that has forgotten what the other lacks', { received: 10n, kept: 11n, written: 12n }],
    ['one that has read more than was written', { received: 21n, kept: 10n, written: 10n }],
  ])('with %s is refused by name', (_what, counts) => {
    expect(() => checkHellos(begun, { id: 'one', ...counts })).toThrow(
      expect.objectContaining({ code: 'home-files-lost' }),
    );
    expect(() => checkHellos({ id: 'one', ...counts }, begun)).toThrow(
      expect.objectContaining({ code: 'home-files-lost' }),
    );
  });

  it('says when an end is cut before its hello', async () => {
    const { end: ended, outer } = await joined(hello(begun), Buffer.from('GWHO'));
    outer[1].destroy();
    await expect(ended).rejects.toMatchObject({ code: 'no-hello' });
  });

  it('says when there is no listener', async () => {
    const path = join(folder, 'nobody');
    await expect(connectWire(path)).rejects.toMatchObject({ code: 'no-home-files' });
    const server = createServer().listen(path);
    await vi.waitFor(() => expect(server.listening).toBe(true), PATIENCE);
    const stream = await connectWire(path);
    stream.destroy();
    server.close();
  });
});
