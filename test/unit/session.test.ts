import { Duplex, duplexPair, PassThrough } from 'node:stream';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { encodeFrame, FrameReader } from '../../agent/debug/link/frames';
import {
  ACK_WITHIN,
  HELLO_TIMEOUT,
  MAX_FRAME,
  MAX_UNACKED,
  MAX_UNACKED_BYTES,
  type Message,
  refuse,
  Session,
  SessionState,
} from '../../agent/debug/link/session';

const SESSION = 'a-session';

/** Lets everything that is on its way arrive. */
async function settle(turns = 12): Promise<void> {
  for (let n = 0; n < turns; n++) await new Promise((resolve) => setImmediate(resolve));
  // An acknowledgement waits a little for a message to go with.
  if (turns > 2) await new Promise((resolve) => setTimeout(resolve, ACK_WITHIN + 5));
}

/** A link of two streams that can be cut after any number of bytes, so that a frame breaks off in its middle. */
class Link {
  readonly left: Duplex;
  readonly right: Duplex;

  constructor(private budget = Number.POSITIVE_INFINITY) {
    const [toRight, toLeft] = [new PassThrough(), new PassThrough()];
    this.left = Duplex.from({ readable: toLeft, writable: this.throttle(toRight) });
    this.right = Duplex.from({ readable: toRight, writable: this.throttle(toLeft) });
    for (const stream of [this.left, this.right, toLeft, toRight]) stream.on('error', () => {});
  }

  cut(): void {
    this.left.destroy();
    this.right.destroy();
  }

  private throttle(to: PassThrough): PassThrough {
    const through = new PassThrough();
    through.on('data', (chunk: Buffer) => {
      to.write(chunk.subarray(0, this.budget));
      this.budget -= Math.min(this.budget, chunk.length);
      if (this.budget === 0) this.cut();
    });
    through.on('error', () => {});
    return through;
  }
}

class End {
  readonly heard: Message[] = [];
  session: Session;

  constructor(state?: SessionState) {
    this.session = this.listenTo(new Session(SESSION, state));
  }

  /** Goes on as a fresh session from the state of the old one, as after a move. */
  handOver(): void {
    this.session.detach();
    const state = SessionState.parse(JSON.parse(JSON.stringify(this.session.state())));
    this.session.removeAllListeners();
    this.session = this.listenTo(new Session(SESSION, state));
  }

  private listenTo(session: Session): Session {
    return session.on('message', (message) => this.heard.push(message));
  }
}

function join(left: Session, right: Session, budget?: number): Link {
  const link = new Link(budget);
  left.attach(link.left);
  right.attach(link.right);
  return link;
}

const packet = (payload: string): Message => ({ kind: 'packet', payload });
const numbered = (n: number, payload = ''): Message => packet(`${n}:${payload}`);

const hello = encodeFrame({ hello: { session: SESSION, received: 0 } });
const data = (n: number, ack = 0) => encodeFrame({ data: { n, ack, message: numbered(n) } });
/** Bytes as they stand in a frame, whatever they are. */
const raw = (...bytes: (number | string | Buffer)[]) => {
  const body = Buffer.concat(
    bytes.map((one) => (typeof one === 'number' ? Buffer.of(one) : Buffer.from(one))),
  );
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
};
const number = (value: bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
};

type Step =
  | { do: 'send'; from: 'left' | 'right'; payload: string }
  | { do: 'join'; budget: number }
  | { do: 'cut' }
  | { do: 'wait' }
  | { do: 'hand-over'; end: 'left' | 'right' };

const side = fc.constantFrom('left' as const, 'right' as const);
const payload = fc
  .uint8Array({ maxLength: 40 })
  .map((bytes) => Buffer.from(bytes.filter((byte) => byte !== 0x23)).toString('latin1'));
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('send' as const), from: side, payload }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('join' as const), budget: fc.integer({ min: 1, max: 1500 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('hand-over' as const), end: side }) },
);

afterEach(() => {
  vi.useRealTimers();
});

describe('a session', () => {
  it('delivers every message once and in order, whatever is cut and handed over', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const ends = { left: new End(), right: new End() };
        const sent = { left: [] as Message[], right: [] as Message[] };
        let link: Link | undefined;
        for (const one of steps) {
          if (one.do === 'send') {
            const message = numbered(sent[one.from].length, one.payload);
            sent[one.from].push(message);
            ends[one.from].session.send(message);
          } else if (one.do === 'join') link = join(ends.left.session, ends.right.session, one.budget);
          else if (one.do === 'cut') link?.cut();
          else if (one.do === 'wait') await settle(2);
          else ends[one.end].handOver();
        }
        link = join(ends.left.session, ends.right.session);
        await settle();
        expect(ends.right.heard).toEqual(sent.left);
        expect(ends.left.heard).toEqual(sent.right);
        expect(ends.left.session.settled && ends.right.session.settled).toBe(true);
        expect(ends.left.session.state().unacked).toEqual([]);
        ends.left.session.detach();
        ends.right.session.detach();
        link.cut();
      }),
      { numRuns: 500 },
    );
  });

  it('carries each kind of message', async () => {
    const [left, right] = [new End(), new End()];
    const link = join(left.session, right.session);
    const messages: Message[] = [
      packet('\x00\x7f\xff"\\\n'),
      { kind: 'interrupt' },
      { kind: 'event', event: { moved: { to: 'node2' }, ms: 12 } },
      { kind: 'bye', reason: 'the process ended' },
    ];
    for (const message of messages) left.session.send(message);
    await settle();
    expect(right.heard).toEqual(messages);
    link.cut();
  });

  it('tells when it is connected, cut, and acknowledged', async () => {
    const [left, right] = [new End(), new End()];
    const events: string[] = [];
    for (const event of ['connected', 'cut', 'acknowledged'] as const)
      left.session.on(event, () => events.push(event));
    left.session.send(numbered(1));
    expect(left.session.settled).toBe(false);
    const link = join(left.session, right.session);
    expect(left.session.connected).toBe(false);
    await settle();
    expect(left.session.connected).toBe(true);
    expect(left.session.settled).toBe(true);
    link.cut();
    await settle();
    expect(left.session.connected).toBe(false);
    expect(events).toEqual(['connected', 'acknowledged', 'cut']);
  });

  it('takes nothing more from a stream once a listener has detached it, and resumes with the next message', async () => {
    const right = new End();
    const [here, there] = duplexPair();
    right.session.once('message', () => right.session.detach());
    right.session.attach(here);
    there.write(Buffer.concat([hello, data(1), data(2)]));
    await settle();
    expect(right.heard).toEqual([numbered(1)]);
    expect(right.session.state().received).toBe(1);
    right.handOver();
    const [here2, there2] = duplexPair();
    right.session.attach(here2);
    there2.write(Buffer.concat([hello, data(2), data(3)]));
    await settle();
    expect(right.heard).toEqual([1, 2, 3].map((n) => numbered(n)));
    right.session.detach();
    for (const stream of [there, there2]) stream.destroy();
  });

  it('leaves what comes with an acknowledgement to the next stream, if the acknowledgement made it detach', async () => {
    const right = new End();
    const [here, there] = duplexPair();
    right.session.on('acknowledged', () => right.session.detach());
    right.session.attach(here);
    there.write(hello);
    right.session.send(numbered(1));
    await settle();
    there.write(data(1, 1));
    await settle();
    expect(right.heard).toEqual([]);
    expect(right.session.state()).toEqual({ next: 2, received: 0, unacked: [] });
    there.destroy();
  });

  it('drops what it has already', async () => {
    const right = new End();
    const [here, there] = duplexPair();
    right.session.attach(here);
    there.write(Buffer.concat([hello, data(1), data(1), data(2), data(1), data(3)]));
    await settle();
    expect(right.heard).toEqual([1, 2, 3].map((n) => numbered(n)));
    right.session.detach();
    there.destroy();
  });

  it('prefers a new stream to the old', async () => {
    const [left, right] = [new End(), new End()];
    const old = join(left.session, right.session);
    await settle();
    const link = join(left.session, right.session);
    left.session.send(numbered(1));
    await settle();
    expect(right.heard).toEqual([numbered(1)]);
    expect(old.left.writableEnded && old.right.writableEnded).toBe(true);
    link.cut();
  });

  it('is refused by another session, and learns why', async () => {
    const left = new End();
    const stranger = new Session('another');
    const refused = vi.fn();
    left.session.on('refused', refused);
    left.session.send(numbered(1));
    join(left.session, stranger);
    await settle();
    const right = new End();
    // Whichever hello is read first is refused; with a mute stranger it is always this one's.
    const [here, there] = duplexPair();
    left.session.attach(here);
    refuse(there, { code: 'job-ended', message: 'job x has ended', fix: 'see `godwit history`' });
    await settle();
    expect(refused).toHaveBeenLastCalledWith(
      expect.objectContaining({ code: 'job-ended', message: 'job x has ended', fix: 'see `godwit history`' }),
    );
    expect(left.session.failure).toBeUndefined();
    const link = join(left.session, right.session);
    await settle();
    expect(right.heard).toEqual([numbered(1)]);
    link.cut();
  });

  it('refuses a hello for another session with a frame that says so', async () => {
    const session = new Session(SESSION);
    const cut = vi.fn();
    session.on('cut', cut);
    const [here, there] = duplexPair();
    const answers: Buffer[] = [];
    there.on('data', (chunk: Buffer) => answers.push(chunk));
    session.attach(here);
    there.write(encodeFrame({ hello: { session: 'another', received: 0 } }));
    await settle();
    expect(new FrameReader().push(Buffer.concat(answers))).toEqual([
      { hello: { session: SESSION, received: 0 } },
      { refused: expect.objectContaining({ code: 'wrong-session' }) },
    ]);
    expect(cut).toHaveBeenCalledWith(expect.objectContaining({ code: 'wrong-session' }));
    there.destroy();
  });

  it.each([
    ['has forgotten', 3, 0],
    ['knows more', 0, 3],
  ])('refuses an end that %s what was said', async (_, messages, received) => {
    const [left, right] = [new End(), new End()];
    const link = join(left.session, right.session);
    for (let n = 0; n < messages; n++) left.session.send(numbered(n));
    await settle();
    const cut = vi.fn();
    left.session.on('cut', cut);
    left.session.detach();
    const other = new Session(SESSION, { next: 1, received, unacked: [] });
    const other2 = join(left.session, other);
    await settle();
    expect(cut).toHaveBeenCalledWith(expect.objectContaining({ code: 'debug-session-lost' }));
    link.cut();
    other2.cut();
  });

  it.each([
    ['garbage', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['a line of JSON', Buffer.from(`{"hello":{"session":"${SESSION}","received":0}}\n`)],
    ['an empty frame', raw()],
    ['a frame of no kind', raw(0)],
    ['a frame of another kind', raw(9)],
    ['a hello without a name', raw(1, number(0n))],
    ['a hello that is too short', raw(1, 'abc')],
    ['a hello with a long name', raw(1, number(0n), 'a'.repeat(201))],
    ['a number that is none', raw(1, number(1n << 60n), SESSION)],
    ['no hello', encodeFrame({ ack: 0 })],
    ['two hellos', Buffer.concat([hello, hello])],
    ['an acknowledgement of what was never sent', Buffer.concat([hello, encodeFrame({ ack: 2 })])],
    ['an acknowledgement with more in it', Buffer.concat([hello, raw(3, number(0n), 'a')])],
    ['a gap', Buffer.concat([hello, data(2)])],
    ['a message without a number', Buffer.concat([hello, raw(2, number(0n), number(0n), 2)])],
    ['a message without a kind', Buffer.concat([hello, raw(2, number(1n), number(0n))])],
    ['a payload that cannot be framed', Buffer.concat([hello, raw(2, number(1n), number(0n), 1, '#')])],
    ['an interrupt with more in it', Buffer.concat([hello, raw(2, number(1n), number(0n), 2, 'a')])],
    ['an unknown message', Buffer.concat([hello, raw(2, number(1n), number(0n), 9)])],
    ['a message that is no JSON', Buffer.concat([hello, raw(2, number(1n), number(0n), 4, '{oops')])],
    [
      'a message of another kind than it says',
      Buffer.concat([hello, raw(2, number(1n), number(0n), 4, '{"kind":"bye"}')]),
    ],
    [
      'a message of another shape',
      Buffer.concat([hello, raw(2, number(1n), number(0n), 4, '{"kind":"event","event":1}')]),
    ],
    [
      'lists in lists',
      Buffer.concat([
        hello,
        raw(
          2,
          number(1n),
          number(0n),
          4,
          `{"kind":"event","event":{"a":${'['.repeat(60_000)}${']'.repeat(60_000)}}}`,
        ),
      ]),
    ],
    ['a refusal of another shape', raw(4, '{"code":1}')],
    ['a frame that is too long', raw(2, 'a'.repeat(MAX_FRAME))],
  ])('ends a stream that brings %s, and is whole afterwards', async (_, bytes) => {
    const [left, right] = [new End(), new End()];
    left.session.send(numbered(1));
    const cut = vi.fn();
    left.session.on('cut', cut);
    const [here, there] = duplexPair();
    there.on('error', () => {});
    there.resume();
    left.session.attach(here);
    there.write(bytes);
    await settle();
    expect(cut).toHaveBeenCalledTimes(1);
    const why = cut.mock.calls[0]![0];
    expect(why.code).toBe('bad-message');
    expect(why.message).not.toContain('\n');
    expect(here.destroyed).toBe(true);
    const link = join(left.session, right.session);
    await settle();
    expect(right.heard).toEqual([numbered(1)]);
    expect(left.heard).toEqual([]);
    link.cut();
    there.destroy();
  });

  it('gives up a stream on which no hello comes', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const session = new Session(SESSION);
    const cut = vi.fn();
    session.on('cut', cut);
    const [here] = duplexPair();
    session.attach(here);
    vi.advanceTimersByTime(HELLO_TIMEOUT);
    expect(cut).toHaveBeenCalledWith(expect.objectContaining({ code: 'debug-stream-cut' }));
    expect(here.destroyed).toBe(true);
  });

  it('notices that it was given a stream that is gone already', async () => {
    const session = new Session(SESSION);
    const cut = vi.fn();
    session.on('cut', cut);
    const [here] = duplexPair();
    here.destroy();
    await settle();
    session.attach(here);
    await settle();
    expect(cut).toHaveBeenCalledTimes(1);
  });

  it('ends when too many messages wait, and says so to the next caller', async () => {
    const [left, right] = [new End(), new End()];
    const [failed, refused] = [vi.fn(), vi.fn()];
    left.session.on('failed', failed);
    right.session.on('refused', refused);
    for (let n = 0; n < MAX_UNACKED; n++) left.session.send({ kind: 'interrupt' });
    expect(failed).not.toHaveBeenCalled();
    left.session.send({ kind: 'interrupt' });
    left.session.send({ kind: 'interrupt' });
    expect(failed).toHaveBeenCalledTimes(1);
    expect(left.session.failure?.code).toBe('debug-session-overflow');
    const link = join(left.session, right.session);
    await settle();
    expect(refused).toHaveBeenCalledWith(expect.objectContaining({ code: 'debug-session-overflow' }));
    link.cut();
  });

  it('ends when too many bytes wait', () => {
    const session = new Session(SESSION);
    const failed = vi.fn();
    session.on('failed', failed);
    const most = Math.floor(MAX_UNACKED_BYTES / 120_000);
    for (let n = 0; n < most; n++) session.send(packet('\x01'.repeat(120_000)));
    expect(failed).not.toHaveBeenCalled();
    session.send(packet('\x01'.repeat(120_000)));
    expect(failed).toHaveBeenCalledTimes(1);
  });

  it.each<[string, unknown]>([
    ['a payload that cannot be framed', packet('a#b')],
    ['an event too long for a frame', { kind: 'event', event: { text: 'a'.repeat(MAX_FRAME) } }],
    ['no message at all', { kind: 'x' }],
  ])('does not take %s', (_, message) => {
    const session = new Session(SESSION);
    expect(() => session.send(message as Message)).toThrow(expect.objectContaining({ code: 'bad-message' }));
    expect(session.state()).toEqual({ next: 1, received: 0, unacked: [] });
  });

  it('acknowledges no faster than the other end reads', async () => {
    const session = new Session(SESSION);
    let taken: () => void = () => {};
    const written: Buffer[] = [];
    const stream = new Duplex({
      writableHighWaterMark: 100,
      read() {},
      write(chunk, _encoding, done) {
        written.push(chunk);
        taken = done;
      },
    });
    session.attach(stream);
    stream.push(hello);
    for (let n = 1; n <= 200; n++) {
      stream.push(data(n));
      await settle(1);
    }
    await settle();
    expect(session.state().received).toBe(200);
    expect(stream.writableLength).toBeLessThan(200);
    while (stream.writableLength > 0) {
      taken();
      await settle();
    }
    expect(written.at(-1)).toEqual(encodeFrame({ ack: 200 }));
    stream.destroy();
  });
});
