import { spawnSync } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { connect as connectSocket, createServer, type Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { PROTOCOL, versionsText } from '../../agent/api/versions';
import { MAX_MESSAGE_BYTES, MAX_UNSENT_BYTES } from '../../agent/wire/allowance';
import { connectUnix } from '../../agent/wire/client';
import { lateAfter } from '../../agent/wire/deadline';
import { HELLO_TIMEOUT_MS } from '../../agent/wire/hello';
import {
  atEnd,
  contract,
  events,
  failure,
  folder,
  freshPath,
  type TestContract,
  type TestEvents,
  unixServer,
  until,
} from './wire-fixture';

async function client(path: string) {
  const remote = await connectUnix<TestContract, TestEvents>(path, {
    name: 'tester',
    kind: 'client',
    contract,
    events,
  });
  atEnd(() => remote.close());
  return remote;
}

/** What every test ends with: whatever was done to it, the server still answers others. */
async function stillServes(path: string) {
  const remote = await client(path);
  expect(await remote.call('add', { a: 20, b: 22 })).toEqual({ sum: 42 });
}

/** A WebSocket without any of our code, and what it is told when it is closed. */
async function rawSocket(path: string, { hello = true } = {}) {
  const socket = new WebSocket('ws://x/rpc', { createConnection: () => connectSocket(path) });
  const closed = new Promise<{ code: number; reason: string }>((resolve) =>
    socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() })),
  );
  const frames: unknown[] = [];
  socket.on('message', (data) => frames.push(JSON.parse(data.toString())));
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('open', resolve));
  atEnd(() => socket.terminate());
  const say = (message: unknown) => socket.send(JSON.stringify(message));
  if (hello) say({ hello: { protocol: PROTOCOL.newest, version: '0', kind: 'client', name: 'raw' } });
  return { socket, closed, frames, say };
}

/** As a process that is left no CPU, or is stopped, does. */
const standStill = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

describe('calls', () => {
  it('are answered, many at once', async () => {
    const { path } = await unixServer();
    const remote = await client(path);
    expect(remote).toMatchObject({ name: 'node1', kind: 'agent' });
    const sums = await Promise.all(Array.from({ length: 500 }, (_, a) => remote.call('add', { a, b: 1 })));
    expect(sums.map(({ sum }) => sum)).toEqual(Array.from({ length: 500 }, (_, a) => a + 1));
  });

  it('are late only after what has come while the process stood still was read', async () => {
    const path = freshPath();
    const server = createServer((socket) => setImmediate(() => tell(socket))).listen(path);
    atEnd(() => server.close());
    const reading = connectSocket(path);
    atEnd(() => reading.destroy());
    const seen: string[] = [];
    reading.once('data', () => seen.push('read'));
    const tell = (socket: Socket) => {
      lateAfter(10, () => seen.push('late'));
      socket.write('an answer');
      standStill(50);
    };
    await until(() => seen.length === 2);
    expect(seen).toEqual(['read', 'late']);
  });

  it('tell the handler who asks', async () => {
    const { path } = await unixServer();
    const remote = await client(path);
    expect(await remote.call('whoami', {})).toEqual({ name: 'tester', kind: 'client' });
  });

  it('bring a named error over whole', async () => {
    const { path } = await unixServer();
    const error = await failure((await client(path)).call('fail', { how: 'named' }));
    expect(error).toMatchObject({
      name: 'GodwitError',
      code: 'no-such-thing',
      message: 'there is no such thing',
      fix: 'look elsewhere',
    });
  });

  it('bring any other error over as internal, without its stack', async () => {
    const { path } = await unixServer();
    const { say, frames } = await rawSocket(path);
    say({ jsonrpc: '2.0', id: 1, method: 'fail', params: { how: 'plain' } });
    await until(() => frames.length === 2);
    expect(frames[1]).toEqual({
      jsonrpc: '2.0',
      id: 1,
      error: { code: 1, message: 'it broke', data: { code: 'internal', message: 'it broke' } },
    });
  });

  it('with bad params are refused with the path, and the connection stays', async () => {
    const { path } = await unixServer();
    const remote = await client(path);
    const error = await failure(remote.call('add', { a: 1, b: 'two' as never }));
    expect(error.code).toBe('bad-message');
    expect(error.message).toMatch(/the params of add is not valid: b: .*expected number/);
    expect(await remote.call('add', { a: 1, b: 2 })).toEqual({ sum: 3 });
  });

  it('of an unknown method are refused', async () => {
    const { path } = await unixServer();
    const { say, frames } = await rawSocket(path);
    for (const [id, method] of ['nothing', 'toString', '__proto__'].entries())
      say({ jsonrpc: '2.0', id, method, params: {} });
    await until(() => frames.length === 4);
    for (const frame of frames.slice(1))
      expect(frame).toMatchObject({ error: { data: { code: 'no-such-method' } } });
    await stillServes(path);
  });

  it('reject an answer that breaks the contract', async () => {
    const { path } = await unixServer();
    const error = await failure((await client(path)).call('wrong', {}));
    expect(error).toMatchObject({ code: 'bad-message' });
    expect(error.message).toContain('the answer to wrong');
  });

  it('end with their timeout, and the handler is told', async () => {
    const { path, seen } = await unixServer();
    const error = await failure((await client(path)).call('forever', {}, { timeoutMs: 30 }));
    expect(error.code).toBe('timeout');
    await until(() => seen.aborted === 1);
  });

  it('are cancelled by their signal, and the handler is told', async () => {
    const { path, seen } = await unixServer();
    const remote = await client(path);
    const abort = new AbortController();
    const call = failure(
      remote.call('forever', {}, { signal: abort.signal, timeoutMs: Number.POSITIVE_INFINITY }),
    );
    await until(() => seen.begun === 1);
    abort.abort();
    expect((await call).code).toBe('cancelled');
    await until(() => seen.aborted === 1);
    expect(await failure(remote.call('add', { a: 1, b: 1 }, { signal: abort.signal }))).toMatchObject({
      code: 'cancelled',
    });
    expect(await remote.call('add', { a: 1, b: 1 })).toEqual({ sum: 2 });
  });

  it('in flight are lost with the connection, on both sides', async () => {
    const { path, seen, server } = await unixServer();
    const remote = await client(path);
    const call = failure(remote.call('forever', {}));
    await until(() => seen.begun === 1);
    for (const peer of server.peers) peer.close();
    expect((await call).code).toBe('connection-lost');
    await until(() => seen.aborted === 1);
    expect((await failure(remote.call('add', { a: 1, b: 1 }))).code).toBe('connection-lost');
    expect(await remote.closed).toMatchObject({ code: 'connection-lost' });
    await stillServes(path);
  });

  it('in flight are given up when the client is killed', async () => {
    const { path, seen } = await unixServer();
    const { socket, say } = await rawSocket(path);
    say({ jsonrpc: '2.0', id: 1, method: 'forever', params: {} });
    await until(() => seen.begun === 1);
    socket.terminate();
    await until(() => seen.aborted === 1);
    await stillServes(path);
  });

  it('too large to send are refused on the side that would send them', async () => {
    const { path } = await unixServer();
    const remote = await client(path);
    const answer = await failure(remote.call('large', { bytes: MAX_MESSAGE_BYTES }));
    expect(answer.code).toBe('message-too-large');
    const question = await failure(remote.call('stream', { what: 'x'.repeat(MAX_MESSAGE_BYTES) }));
    expect(question.code).toBe('message-too-large');
    expect((await remote.call('large', { bytes: MAX_MESSAGE_BYTES - 1000 })).text.length).toBe(
      MAX_MESSAGE_BYTES - 1000,
    );
  });

  it('are bounded in what they keep in flight', async () => {
    const { path } = await unixServer();
    const { say, frames } = await rawSocket(path);
    const fill = 'x'.repeat(3 * 1024 * 1024);
    for (let id = 0; id < 25; id++) say({ jsonrpc: '2.0', id, method: 'forever', params: { fill } });
    await until(() => frames.length === 1 + 4);
    for (const frame of frames.slice(1))
      expect(frame).toMatchObject({ error: { data: { code: 'too-many-calls' } } });
    await stillServes(path);
  });
});

describe('of all connections of one user', () => {
  const MIB = 1024 * 1024;
  const allowance = { calls: 10, bytes: 8 * MIB, unsent: 8 * MIB };

  it('calls are counted together, and others are answered', async () => {
    const { path } = await unixServer({ allowance });
    const [one, other] = [await rawSocket(path), await rawSocket(path)];
    for (let id = 0; id < 6; id++)
      for (const { say } of [one, other]) say({ jsonrpc: '2.0', id, method: 'forever', params: {} });
    const refused = () =>
      [...one.frames, ...other.frames].filter((frame) => JSON.stringify(frame).includes('too-many-calls'));
    await until(() => refused().length === 2);
    one.socket.terminate();
    // As soon as it is seen that the one has gone, the other has the room.
    let id = 100;
    await until(() => {
      other.say({ jsonrpc: '2.0', id: id++, method: 'add', params: { a: 1, b: 2 } });
      return other.frames.some((frame) => JSON.stringify(frame).includes('"sum":3'));
    });
  });

  it('messages that never come to their end are counted together', async () => {
    const { path } = await unixServer({ allowance });
    const sockets = await Promise.all(Array.from({ length: 4 }, () => rawSocket(path)));
    // The header of a frame of 4,000,000 bytes, and most of them.
    const begun = Buffer.alloc(3 * MIB);
    begun.set([0x81, 0xff, 0, 0, 0, 0, 0, 0x3d, 0x09, 0x00, 0, 0, 0, 0]);
    for (const { socket } of sockets) (socket as unknown as { _socket: Socket })._socket.write(begun);
    await until(() => sockets.some(({ socket }) => socket.readyState === socket.CLOSED));
    await stillServes((await unixServer()).path);
  });
});

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Outside of the heap, in buffers that are in use. */
function heldBytes(): number {
  collectGarbage();
  const { arrayBuffers, external } = process.memoryUsage();
  return arrayBuffers + external;
}

describe('a message that was not asked for', () => {
  it('answers and cancellations of nothing are not kept, and change nothing', async () => {
    const { path } = await unixServer();
    const { say, frames } = await rawSocket(path);
    for (let id = 0; id < 5_000; id++) {
      say({ jsonrpc: '2.0', id, result: {} });
      say({ jsonrpc: '2.0', method: '$/cancelRequest', params: { id } });
    }
    // Were they waited for one by one, this would come after ten thousand turns.
    say({ jsonrpc: '2.0', id: 1, method: 'add', params: { a: 1, b: 2 } });
    await until(() => frames.some((frame) => JSON.stringify(frame).includes('"sum":3')));
  });

  it('pings of one who never reads are not answered without end', async () => {
    const { path } = await unixServer();
    const { socket } = await rawSocket(path);
    const raw = (socket as unknown as { _socket: Socket })._socket;
    raw.pause();
    const ping = Buffer.concat([Buffer.from([0x89, 0xfd, 0, 0, 0, 0]), Buffer.alloc(125)]);
    const many = Buffer.concat(Array.from({ length: 8_000 }, () => ping));
    const before = heldBytes();
    for (let n = 0; n < 40; n++) await new Promise<void>((resolve) => raw.write(many, () => resolve()));
    // What was read and is not needed any more does not count, whenever it is collected.
    expect(heldBytes() - before).toBeLessThan(many.length * 10);
    socket.terminate();
    await stillServes(path);
  });

  it('a refused upgrade does not keep its connection', async () => {
    const { path } = await unixServer();
    const socket = connectSocket({ path, allowHalfOpen: true });
    socket.write('GET /nowhere HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
    let ended = false;
    socket.on('data', () => {});
    socket.once('error', () => {
      ended = true;
    });
    await new Promise((resolve) => socket.once('end', resolve));
    // Its own half it never ends: the other side has gone when writing fails.
    for (const deadline = Date.now() + 100_000; !ended && Date.now() < deadline; ) {
      socket.write('x');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(ended).toBe(true);
  });
});

describe('garbage', () => {
  const cases: [string, (raw: Awaited<ReturnType<typeof rawSocket>>) => void, number, RegExp][] = [
    ['text that is not JSON', ({ socket }) => socket.send('{oops'), 4000, /^bad-message: .*not JSON/],
    ['a binary frame', ({ socket }) => socket.send(Buffer.from([1, 2, 3])), 4000, /^bad-message: .*binary/],
    ['JSON that is no message', ({ say }) => say([1, 2, 3]), 4000, /^bad-message/],
    ['null', ({ say }) => say(null), 4000, /^bad-message/],
    [
      'a batch',
      ({ say }) => say([{ jsonrpc: '2.0', id: 1, method: 'add', params: {} }]),
      4000,
      /^bad-message/,
    ],
    [
      'a cancellation of nothing',
      ({ say }) => say({ jsonrpc: '2.0', method: '$/cancelRequest' }),
      4000,
      /^bad-message/,
    ],
    [
      'a progress report',
      ({ say }) => say({ jsonrpc: '2.0', method: '$/progress', params: {} }),
      4000,
      /^bad-message/,
    ],
    [
      'a request without an id',
      ({ say }) => say({ jsonrpc: '2.0', id: null, method: 'add', params: {} }),
      4000,
      /^bad-message/,
    ],
    [
      'an event',
      ({ say }) => say({ jsonrpc: '2.0', method: 'tick', params: { n: 1 } }),
      4000,
      /^bad-message: .*"tick"/,
    ],
    ['an oversized frame', ({ socket }) => socket.send('x'.repeat(MAX_MESSAGE_BYTES + 1)), 1009, /^$/],
    [
      'text that is not UTF-8',
      ({ socket }) => socket.send(Buffer.from([0xff, 0xfe]), { binary: false }),
      1007,
      /^$/,
    ],
    [
      'an id that is in use',
      ({ say }) => {
        for (const _ of [1, 2]) say({ jsonrpc: '2.0', id: 1, method: 'forever', params: {} });
      },
      4000,
      /^bad-message: .*id 1/,
    ],
  ];

  for (const [what, send, code, reason] of cases)
    it(`${what} closes the connection, and only that one`, async () => {
      const { path, server } = await unixServer();
      const other = await client(path);
      const raw = await rawSocket(path);
      await until(() => server.peers.size === 2);
      send(raw);
      const closed = await raw.closed;
      expect(closed.code).toBe(code);
      expect(closed.reason).toMatch(reason);
      await until(() => server.peers.size === 1);
      expect(await other.call('add', { a: 1, b: 1 })).toEqual({ sum: 2 });
      await stillServes(path);
    });

  it('an answer to no call, and a cancellation of no call, are passed over', async () => {
    const { path } = await unixServer();
    const { say, frames } = await rawSocket(path);
    say({ jsonrpc: '2.0', id: 77, result: {} });
    say({ jsonrpc: '2.0', method: '$/cancelRequest', params: { id: 77 } });
    say({ jsonrpc: '2.0', id: 1, method: 'add', params: { a: 1, b: 1 } });
    await until(() => frames.length === 2);
    expect(frames[1]).toEqual({ jsonrpc: '2.0', id: 1, result: { sum: 2 } });
  });

  it('bytes that are no HTTP are refused', async () => {
    const { path } = await unixServer();
    const socket = connectSocket(path);
    const answer: Buffer[] = [];
    socket.on('data', (data) => answer.push(data));
    socket.write(Buffer.from(Array.from({ length: 4096 }, (_, n) => n % 256)));
    await new Promise((resolve) => socket.once('close', resolve));
    expect(Buffer.concat(answer).toString()).toMatch(/^HTTP\/1.1 400/);
    await stillServes(path);
  });

  it('headers that are too long are refused', async () => {
    const { path } = await unixServer();
    const socket = connectSocket(path);
    const answer: Buffer[] = [];
    socket.on('data', (data) => answer.push(data));
    socket.on('error', () => {});
    socket.write(`GET /rpc HTTP/1.1\r\nhost: x\r\ncookie: ${'x'.repeat(20_000)}\r\n\r\n`);
    await new Promise((resolve) => socket.once('close', resolve));
    expect(Buffer.concat(answer).toString()).toMatch(/^HTTP\/1.1 431/);
    await stillServes(path);
  });

  it('plain requests and other paths get 404, unknown tickets 410', async () => {
    const { path } = await unixServer();
    const ask = async (url: string, headers: string) => {
      const socket = connectSocket(path);
      const answer: Buffer[] = [];
      socket.on('data', (data) => answer.push(data));
      socket.write(`GET ${url} HTTP/1.1\r\nhost: x\r\n${headers}\r\n`);
      await new Promise((resolve) => socket.once('close', resolve));
      return Buffer.concat(answer).toString().split('\r\n')[0];
    };
    const upgrade =
      'connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
    expect(await ask('/', '')).toBe('HTTP/1.1 404 Not Found');
    expect(await ask('/rpc', '')).toBe('HTTP/1.1 404 Not Found');
    expect(await ask('/elsewhere', upgrade)).toBe('HTTP/1.1 404 Not Found');
    expect(await ask('/stream/0123', upgrade)).toBe('HTTP/1.1 410 Gone');
    await stillServes(path);
  });
});

describe('hello', () => {
  it('of another protocol is refused on both sides', async () => {
    const { path } = await unixServer();
    const { say, closed } = await rawSocket(path, { hello: false });
    say({ hello: { protocol: PROTOCOL.newest + 1, novelty: true } });
    expect(await closed).toEqual({
      code: 4000,
      reason: `wrong-version: the other side speaks protocol ${PROTOCOL.newest + 1}, this one ${versionsText(PROTOCOL)}`,
    });
    await stillServes(path);

    const other = freshPath();
    const { http } = await otherVersion(other);
    atEnd(() => http.close());
    expect(await failure(client(other))).toMatchObject({
      code: 'wrong-version',
      fix: expect.stringContaining('upgrade the older'),
    });
  });

  it('must come first', async () => {
    const { path, server } = await unixServer();
    const { say, closed } = await rawSocket(path, { hello: false });
    say({ jsonrpc: '2.0', id: 1, method: 'add', params: { a: 1, b: 1 } });
    expect((await closed).reason).toMatch(/^bad-message: the hello/);
    expect(server.peers.size).toBe(0);
    await stillServes(path);
  });

  it('is heard where it has come while the process stood still', async () => {
    const { path } = await unixServer();
    const { frames, say } = await rawSocket(path);
    standStill(HELLO_TIMEOUT_MS + 100);
    say({ jsonrpc: '2.0', id: 1, method: 'add', params: { a: 1, b: 2 } });
    await until(() => frames.some((frame) => JSON.stringify(frame).includes('"sum":3')));
  });

  it('must come soon', { timeout: 60_000 }, async () => {
    const { path, server } = await unixServer();
    const { closed } = await rawSocket(path, { hello: false });
    // Connections that never get so far: nothing sent, and half a request.
    const halves = ['', 'GET /rpc HTTP/1.1\r\nhost: x\r\n'].map((text) => {
      const socket = connectSocket(path);
      socket.on('data', () => {});
      socket.write(text);
      return new Promise((resolve) => socket.once('close', () => resolve(true)));
    });
    expect((await closed).reason).toMatch(/^no-hello/);
    expect(await Promise.all(halves)).toEqual([true, true]);
    expect(server.peers.size).toBe(0);
    await stillServes(path);
  });

  async function otherVersion(path: string) {
    const http = new WebSocketServer({ noServer: true });
    const { createServer } = await import('node:http');
    const server = createServer();
    server.on('upgrade', (request, socket, head) =>
      http.handleUpgrade(request, socket, head, (upgraded) => {
        upgraded.send(
          JSON.stringify({ hello: { protocol: 99, version: '9', kind: 'agent', name: 'future' } }),
        );
      }),
    );
    await new Promise<void>((resolve) => server.listen(path, resolve));
    return { http: server };
  }
});

describe('events', () => {
  it('reach all who listen, in order', async () => {
    const { path, server } = await unixServer();
    const [one, two] = [await client(path), await client(path)];
    const heard: number[][] = [[], []];
    one.on('tick', ({ n }) => heard[0]!.push(n));
    const stop = two.on('tick', ({ n }) => heard[1]!.push(n));
    await until(() => server.peers.size === 2);
    for (let n = 0; n < 10; n++) server.emit('tick', { n });
    await until(() => heard[0]!.length === 10 && heard[1]!.length === 10);
    expect(heard[0]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    stop();
    server.emit('tick', { n: 10 });
    await until(() => heard[0]!.length === 11);
    expect(heard[1]!.length).toBe(10);
  });

  it('that do not fit their schema end the connection', async () => {
    const { path, server } = await unixServer();
    const remote = await client(path);
    await until(() => server.peers.size === 1);
    server.emit('tick', { n: 'one' } as never);
    expect(await remote.closed).toMatchObject({
      code: 'bad-message',
      message: expect.stringContaining('n: '),
    });
    await stillServes(path);
  });

  it('end the connection of a client that does not read', { timeout: 60_000 }, async () => {
    const { path, server } = await unixServer();
    const { socket } = await rawSocket(path);
    await until(() => server.peers.size === 1);
    socket.pause();
    const [peer] = server.peers;
    const fill = 'x'.repeat(1024 * 1024);
    let emitted = 0;
    while (emitted < 100 && server.peers.size > 0) {
      server.emit('tick', { n: emitted++, fill });
      await new Promise((resolve) => setImmediate(resolve));
      if (emitted > MAX_UNSENT_BYTES / fill.length + 2) break;
    }
    expect(await peer!.closed).toMatchObject({ code: 'slow-reader' });
    await stillServes(path);
  });
});

describe('the Unix socket', () => {
  it('is for its owner alone', async () => {
    const { path } = await unixServer();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const { path: open } = await unixServer({ mode: 0o660 });
    expect(statSync(open).mode & 0o777).toBe(0o660);
  });

  it('of a living process is not taken', async () => {
    const { path } = await unixServer();
    expect(await failure(unixServer({ path }))).toMatchObject({ code: 'address-taken' });
    await stillServes(path);
  });

  it('of a dead process is replaced', async () => {
    const path = freshPath();
    const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    expect(spawnSync(process.execPath, ['-e', script]).signal).toBe('SIGKILL');
    expect(existsSync(path)).toBe(true);
    await unixServer({ path });
    await stillServes(path);
  });

  it('does not replace a file that is no socket', async () => {
    const path = freshPath();
    writeFileSync(path, 'precious');
    expect(await failure(unixServer({ path }))).toMatchObject({ code: 'address-taken' });
    expect(statSync(path).size).toBe(8);
  });

  it('has a path of 107 bytes at most', async () => {
    const path = `${folder}/${'x'.repeat(108 - folder.length - 1)}`;
    expect(await failure(unixServer({ path }))).toMatchObject({ code: 'socket-path-too-long' });
    await unixServer({ path: path.slice(0, 107) });
    await stillServes(path.slice(0, 107));
  });

  it('without a listener is a named error', async () => {
    expect(await failure(client(freshPath()))).toMatchObject({ code: 'no-agent' });
  });

  it('is gone after the server has closed', async () => {
    const { path, server } = await unixServer();
    const remote = await client(path);
    const { socket } = await rawSocket(path, { hello: false });
    await server.close();
    expect(existsSync(path)).toBe(false);
    await remote.closed;
    await until(() => socket.readyState === socket.CLOSED);
  });
});
