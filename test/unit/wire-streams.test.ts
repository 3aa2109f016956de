import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectSocket, createServer, type Socket } from 'node:net';
import { type Duplex, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { GodwitError } from '../../agent/api/errors';
import { openStream } from '../../agent/wire/client';
import type { Endpoint } from '../../agent/wire/endpoint';
import { pipeStreams } from '../../agent/wire/streams';
import { TICKET_LIFE_MS, Tickets } from '../../agent/wire/tickets';
import {
  atEnd,
  type Certificates,
  failure,
  freshPath,
  makeCertificates,
  relayTo,
  tlsServer,
  unixServer,
  until,
} from './wire-fixture';

let certificates: Certificates;
beforeAll(async () => {
  certificates = await makeCertificates();
});

const read = async (stream: Duplex) => Buffer.concat(await stream.toArray());
const text = async (stream: Duplex) => (await read(stream)).toString();

/** How a stream ended, as those who listen see it. */
function watch(stream: Duplex) {
  const seen = { bytes: 0, end: false, error: undefined as GodwitError | undefined, close: false };
  stream.on('data', (data) => {
    seen.bytes += data.length;
  });
  stream.on('end', () => {
    seen.end = true;
  });
  stream.on('error', (error) => {
    seen.error = error as GodwitError;
  });
  stream.on('close', () => {
    seen.close = true;
  });
  return seen;
}

/** Both ends of one stream. */
async function join(endpoint: Endpoint, tickets: Tickets): Promise<{ near: Duplex; far: Duplex }> {
  let take: (stream: Duplex) => void = () => {};
  const far = new Promise<Duplex>((resolve) => {
    take = resolve;
  });
  const near = await openStream(
    endpoint,
    tickets.issue((stream) => take(stream)),
  );
  return { near, far: await far };
}

async function overUnix() {
  const { path, tickets } = await unixServer();
  return join({ path }, tickets);
}

async function overTls() {
  const { port, tickets } = await tlsServer(certificates.node1);
  return join({ address: '127.0.0.1', port, tls: certificates.node2, expectName: 'node1' }, tickets);
}

/** The same, with a relay between that can be cut. */
async function overRelayedUnix() {
  const { path, tickets } = await unixServer();
  const between = freshPath();
  const relay = await relayTo(() => connectSocket(path), between);
  return { ...(await join({ path: between }, tickets)), relay };
}

async function overRelayedTls() {
  const { port, tickets } = await tlsServer(certificates.node1);
  const relay = await relayTo(() => connectSocket(port, '127.0.0.1'), 0);
  const endpoint = { address: '127.0.0.1', port: relay.port, tls: certificates.node2, expectName: 'node1' };
  return { ...(await join(endpoint, tickets)), relay };
}

for (const [wire, make, makeRelayed] of [
  ['over a Unix socket', overUnix, overRelayedUnix],
  ['over TLS', overTls, overRelayedTls],
] as const)
  describe(`a stream ${wire}`, () => {
    it('carries both directions, and each ends by itself', async () => {
      const { near, far } = await make();
      near.end('question');
      expect(await text(far)).toBe('question');
      far.write('ans');
      far.end('wer');
      expect(await text(near)).toBe('answer');
      await until(() => near.destroyed && far.destroyed);
    });

    it('carries 100 MB intact, both ways at once', { timeout: 120_000 }, async () => {
      const { near, far } = await make();
      const block = randomBytes(1024 * 1024);
      const blocks = () => Readable.from(Array.from({ length: 100 }, () => block));
      const expected = createHash('sha256');
      for (let n = 0; n < 100; n++) expected.update(block);
      const sum = async (stream: Duplex) => {
        const hash = createHash('sha256');
        for await (const chunk of stream) hash.update(chunk);
        return hash.digest('hex');
      };
      const [a, b] = await Promise.all([
        sum(near),
        sum(far),
        pipeline(blocks(), near),
        pipeline(blocks(), far),
      ]);
      expect([a, b]).toEqual(Array(2).fill(expected.digest('hex')));
    });

    it('makes a writer wait for a slow reader', async () => {
      const { near, far } = await make();
      const chunk = Buffer.alloc(64 * 1024);
      let written = 0;
      const wrote = (async () => {
        for (; written < 2000; written++)
          if (!near.write(chunk)) await new Promise((resolve) => near.once('drain', resolve));
        near.end();
      })();
      await new Promise((resolve) => setTimeout(resolve, 500));
      const stuckAt = written;
      await new Promise((resolve) => setTimeout(resolve, 200));
      // The writer stands still; what it has written so far lies in bounded buffers and the kernel's.
      expect(written).toBe(stuckAt);
      expect(stuckAt * chunk.length).toBeLessThan(16 * 1024 * 1024);
      expect(near.writableLength).toBeLessThanOrEqual(512 * 1024);
      expect(far.readableLength).toBeLessThanOrEqual(1024 * 1024);
      expect((await read(far)).length).toBe(2000 * chunk.length);
      await wrote;
      far.end();
    });

    it('gives a slow reader all bytes, although the writer has ended and gone on', async () => {
      const { near, far } = await make();
      far.end();
      near.resume();
      near.end(randomBytes(8 * 1024 * 1024));
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect((await read(far)).length).toBe(8 * 1024 * 1024);
    });

    it('that is destroyed on one side is cut on the other, with the reason', async () => {
      const { near, far } = await make();
      const seen = watch(far);
      near.write('half of it');
      await until(() => seen.bytes > 0);
      near.destroy(new Error('out of disk'));
      await until(() => seen.close);
      expect(seen).toMatchObject({
        end: false,
        error: { code: 'stream-cut', message: expect.stringContaining('out of disk') },
      });
    });

    it('that is destroyed although all was read is a cut still', async () => {
      const { near, far } = await make();
      far.end();
      const seen = watch(near);
      await until(() => seen.end);
      far.destroy();
      await until(() => seen.close);
      expect(seen.error?.code).toBe('stream-cut');
    });

    it('fails a writer whose reader is cut', async () => {
      const { near, far } = await make();
      const endless = Readable.from(
        (function* () {
          for (;;) yield Buffer.alloc(64 * 1024);
        })(),
      );
      const writing = failure(pipeline(endless, near));
      far.once('data', () => far.destroy(new Error('full')));
      expect(await writing).toMatchObject({ code: 'stream-cut', message: expect.stringContaining('full') });
    });

    it('whose connection is cut is cut on both sides', async () => {
      const { near, far, relay } = await makeRelayed();
      const seen = [watch(near), watch(far)];
      near.write('x');
      await until(() => seen[1]!.bytes === 1);
      relay.cut();
      await until(() => seen.every(({ close }) => close));
      for (const { end, error } of seen)
        expect({ end, code: error?.code }).toEqual({ end: false, code: 'stream-cut' });
    });

    it('is quick: a byte there and back', async () => {
      const { near, far } = await make();
      void pipeline(far, far).catch(() => {});
      const start = performance.now();
      for (let n = 0; n < 200; n++) {
        near.write('x');
        await new Promise((resolve) => near.once('data', resolve));
      }
      expect((performance.now() - start) / 200).toBeLessThan(5);
      near.end();
      await near.toArray();
    });
  });

describe('tickets', () => {
  it('are good once', async () => {
    const { path, tickets } = await unixServer();
    const ticket = tickets.issue((stream) => void stream.end('once'));
    expect(ticket).toMatch(/^[0-9a-f]{32}$/);
    const stream = await openStream({ path }, ticket);
    expect(await text(stream)).toBe('once');
    stream.end();
    expect((await failure(openStream({ path }, ticket))).code).toBe('ticket-refused');
  });

  it('that were never issued are refused', async () => {
    const { path } = await unixServer();
    for (const ticket of ['', 'x', '0'.repeat(32), '__proto__', `${'0'.repeat(32)}/../rpc`])
      expect((await failure(openStream({ path }, ticket))).code).toBe('ticket-refused');
  });

  it('are not used up by an upgrade that is not completed', async () => {
    const { path, tickets } = await unixServer();
    const ticket = tickets.issue((stream) => void stream.end('still good'));
    const socket = connectSocket(path);
    socket.write(
      `GET /stream/${ticket} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n`,
    );
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1.1 400/);
    const stream = await openStream({ path }, ticket);
    expect(await text(stream)).toBe('still good');
    stream.end();
  });

  it('expire, and say so', () => {
    vi.useFakeTimers();
    atEnd(() => vi.useRealTimers());
    const tickets = new Tickets();
    const unused = vi.fn();
    const ticket = tickets.issue(() => {}, { onUnused: unused });
    vi.advanceTimersByTime(TICKET_LIFE_MS - 1);
    expect(unused).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(unused).toHaveBeenCalledOnce();
    expect(tickets.redeem(ticket, { name: 'node2' })).toBeUndefined();
  });

  it('that were used do not expire', () => {
    vi.useFakeTimers();
    atEnd(() => vi.useRealTimers());
    const tickets = new Tickets();
    const unused = vi.fn();
    tickets.redeem(
      tickets.issue(() => {}, { onUnused: unused }),
      { name: 'node2' },
    );
    vi.advanceTimersByTime(2 * TICKET_LIFE_MS);
    expect(unused).not.toHaveBeenCalled();
  });

  it('are bounded in number', () => {
    const tickets = new Tickets();
    for (let n = 0; n < 4096; n++) tickets.issue(() => {});
    expect(() => tickets.issue(() => {})).toThrow(expect.objectContaining({ code: 'too-many-tickets' }));
  });

  it('whose handler fails cut the stream with the reason, and the server stays', async () => {
    const { path, tickets } = await unixServer();
    for (const handler of [
      async () => {
        throw new Error('no such console');
      },
      () => {
        throw new Error('no such console');
      },
    ]) {
      const seen = watch(await openStream({ path }, tickets.issue(handler)));
      await until(() => seen.close);
      expect(seen).toMatchObject({
        end: false,
        error: { message: expect.stringContaining('no such console') },
      });
    }
  });
});

describe('what is no stream', () => {
  for (const [what, send] of [
    ['a text frame', (socket: WebSocket) => socket.send('hello')],
    ['an oversized frame', (socket: WebSocket) => socket.send(Buffer.alloc(1024 * 1024))],
    [
      'bytes after the end',
      (socket: WebSocket) => {
        socket.send('end');
        socket.send(Buffer.from('more'));
      },
    ],
  ] as const)
    it(`${what} cuts it`, async () => {
      const { path, tickets } = await unixServer();
      let far: Duplex | undefined;
      const ticket = tickets.issue((stream) => {
        far = stream;
      });
      const socket = new WebSocket(`ws://x/stream/${ticket}`, {
        createConnection: () => connectSocket(path),
      });
      socket.on('error', () => {});
      await new Promise((resolve) => socket.once('open', resolve));
      await until(() => far !== undefined);
      const seen = watch(far!);
      send(socket);
      await until(() => seen.close && socket.readyState === socket.CLOSED);
      expect(seen.error).toBeDefined();
    });
});

describe('a relay', () => {
  /** client <-> relay <-> server, the relay joining a Unix stream to a TLS one. */
  async function relayed() {
    const server = await tlsServer(certificates.node1);
    const local = await unixServer();
    let far: Duplex | undefined;
    const farTicket = server.tickets.issue((stream) => {
      far = stream;
    });
    const outcome = { done: false, error: undefined as unknown };
    const endpoint = {
      address: '127.0.0.1',
      port: server.port,
      tls: certificates.node2,
      expectName: 'node1',
    };
    const nearTicket = local.tickets.issue(async (stream) => {
      const beyond = await openStream(endpoint, farTicket);
      pipeStreams(stream, beyond).then(
        () => {
          outcome.done = true;
        },
        (error) => {
          outcome.error = error;
        },
      );
    });
    const near = await openStream({ path: local.path }, nearTicket);
    await until(() => far !== undefined);
    return { near, far: far!, outcome };
  }

  it('carries each direction to its own end', async () => {
    const { near, far, outcome } = await relayed();
    near.end('question');
    expect(await text(far)).toBe('question');
    await new Promise((resolve) => setTimeout(resolve, 20));
    far.end('answer');
    expect(await text(near)).toBe('answer');
    await until(() => outcome.done);
  });

  it('carries a cut in either direction', async () => {
    for (const side of ['near', 'far'] as const) {
      const streams = await relayed();
      const other = watch(side === 'near' ? streams.far : streams.near);
      streams[side].destroy(new Error('gone'));
      await until(() => other.close);
      expect(other).toMatchObject({
        end: false,
        error: { code: 'stream-cut', message: expect.stringContaining('gone') },
      });
      await until(() => streams.outcome.error !== undefined);
    }
  });

  it('makes a writer wait through it', async () => {
    const { near, far } = await relayed();
    const chunk = Buffer.alloc(64 * 1024);
    let written = 0;
    const wrote = (async () => {
      for (; written < 2000; written++)
        if (!near.write(chunk)) await new Promise((resolve) => near.once('drain', resolve));
      near.end();
    })();
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(written * chunk.length).toBeLessThan(32 * 1024 * 1024);
    expect((await read(far)).length).toBe(2000 * chunk.length);
    await wrote;
    far.end();
  });

  it('sees the end of one side also when the other was ended by someone else', async () => {
    const { path, tickets } = await unixServer();
    const [one, other] = [await join({ path }, tickets), await join({ path }, tickets)];
    const joined = pipeStreams(one.near, other.near);
    one.near.end();
    await once(one.near, 'finish');
    one.far.resume().end();
    other.far.resume().end('late words');
    await joined;
  });

  it('joins a plain socket, whose client may leave at any moment', async () => {
    const { path, tickets } = await unixServer();
    const plain = freshPath();
    const listener = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve) => listener.listen(plain, resolve));
    atEnd(() => listener.close());
    const accepted = new Promise<Socket>((resolve) => listener.once('connection', resolve));
    const client = connectSocket(plain);
    const { near, far } = await join({ path }, tickets);
    const joined = pipeStreams(await accepted, near);
    client.write('$qSupported#37');
    expect((await new Promise<Buffer>((resolve) => far.once('data', resolve))).toString()).toBe(
      '$qSupported#37',
    );
    const seen = watch(far);
    client.destroy();
    await until(() => seen.end);
    far.end();
    await joined;
  });
});
