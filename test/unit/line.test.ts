import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Duplex, duplexPair } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { GodwitError } from '../../agent/api/errors';
import { type Attempt, Line, type LineOptions } from '../../agent/debug/link/line';
import { type Message, refuse, Session, SessionState } from '../../agent/debug/link/session';
import { encodePacket, MAX_PACKET, PacketReader, type WireItem } from '../../agent/debug/rsp/codec';
import { decodeTogether } from '../../agent/debug/rsp/together';

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/rsp/${name}`, import.meta.url));

let folder: string;
let undo: (() => unknown)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'line-'));
  undo = [];
});

afterEach(async () => {
  // Each step is tried, and none waited for long: a failed test leaves nothing behind either.
  const limit = () => new Promise((resolve) => setTimeout(resolve, 1000).unref());
  for (const step of undo.reverse())
    await Promise.race([
      Promise.resolve()
        .then(step)
        .catch(() => {}),
      limit(),
    ]);
  rmSync(folder, { recursive: true, force: true });
});

/** Requests that were sent together, one by one. */
function partsOf(message: Message): Message[] {
  const together = message.kind === 'packet' ? decodeTogether(message.payload) : null;
  return together ? together.packets.map(packet) : [message];
}

/** The other end: a session that may be cut off, and what it heard. */
class Stub {
  session: Session;
  readonly heard: Message[] = [];
  readonly attempts: Attempt[] = [];
  private stream: Duplex | undefined;

  constructor(id: string) {
    this.session = new Session(id);
    this.listen();
    undo.push(() => this.cut());
  }

  private listen(): void {
    this.session.on('message', (message) => {
      this.heard.push(...partsOf(message));
      // As the real one, when it has left the process.
      if (message.kind === 'bye' && this.leaves) this.session.send({ kind: 'bye' });
      this.onMessage(message);
    });
  }

  leaves = true;
  onMessage: (message: Message) => void = () => {};

  /** Goes on elsewhere: all that it takes along is JSON. */
  move(): void {
    this.session.detach();
    const state = SessionState.parse(JSON.parse(JSON.stringify(this.session.state())));
    this.session = new Session(this.session.id, state);
    this.listen();
  }

  readonly connect = async (attempt: Attempt): Promise<Duplex> => {
    this.attempts.push(attempt);
    const [here, there] = duplexPair();
    for (const stream of [here, there]) stream.on('error', () => {});
    this.stream = there;
    this.session.attach(there);
    return here;
  };

  cut(): void {
    this.stream?.destroy();
  }

  answer(payload: string): void {
    this.session.send({ kind: 'packet', payload });
  }
}

class Client {
  readonly items: WireItem[] = [];
  private readonly reader = new PacketReader();
  private constructor(readonly socket: Socket) {
    socket.on('data', (chunk: Buffer) => this.items.push(...this.reader.push(chunk)));
    socket.on('error', () => {});
    undo.push(() => socket.destroy());
  }

  static async at(path: string): Promise<Client> {
    const socket = connect(path);
    await once(socket, 'connect');
    return new Client(socket);
  }

  get payloads(): string[] {
    return this.items.flatMap((item) => (item.kind === 'packet' ? [item.payload] : []));
  }

  send(...payloads: string[]): void {
    for (const payload of payloads) this.socket.write(encodePacket(payload));
  }
}

interface Scene {
  line: Line;
  stub: Stub;
  path: string;
  closed: { why: GodwitError | undefined; reason: string | undefined }[];
  log: string[];
}

const SESSION = 'the-session';

async function scene(options: Partial<LineOptions> = {}): Promise<Scene> {
  const stub = new Stub(SESSION);
  const log: string[] = [];
  const line = new Line({
    connect: stub.connect,
    session: SESSION,
    log: (text) => log.push(text),
    ...options,
  });
  const closed: Scene['closed'] = [];
  line.on('closed', (why, reason) => closed.push({ why, reason }));
  undo.push(() => line.close());
  const path = await line.listen({ path: join(folder, 'line.sock') });
  return { line, stub, path, closed, log };
}

const soon = (check: () => void, timeout = 3000) => vi.waitFor(check, { timeout, interval: 5 });
const packet = (payload: string): Message => ({ kind: 'packet', payload });
const bye = expect.objectContaining({ kind: 'bye' });
const ack: WireItem = { kind: 'ack' };
const code = (text: string) => expect.objectContaining({ code: text });

describe('towards its client', () => {
  it('acknowledges each packet, and passes packets, interrupts and replies', async () => {
    const { stub, path } = await scene();
    const client = await Client.at(path);
    client.send('qSupported:x+', 'm0,4');
    client.socket.write(Buffer.from([3]));
    await soon(() =>
      expect(stub.heard).toEqual([packet('qSupported:x+'), packet('m0,4'), { kind: 'interrupt' }]),
    );
    stub.answer('PacketSize=4000');
    await soon(() => expect(client.items).toEqual([ack, ack, packet('PacketSize=4000')]));
  });

  it('stops acknowledging when asked, and keeps the question to itself', async () => {
    const { stub, path } = await scene();
    const client = await Client.at(path);
    client.send('QStartNoAckMode');
    await soon(() => expect(client.items).toEqual([ack, packet('OK')]));
    client.socket.write('+');
    client.send('g');
    await soon(() => expect(stub.heard).toEqual([packet('g')]));
    stub.answer('00');
    stub.answer('11');
    await soon(() => expect(client.items).toEqual([ack, packet('OK'), packet('00'), packet('11')]));
  });

  it('sends a reply when the one before is acknowledged', async () => {
    const { stub, path } = await scene();
    const client = await Client.at(path);
    client.send('c');
    await soon(() => expect(stub.heard).toHaveLength(1));
    stub.answer('one');
    stub.answer('two');
    await soon(() => expect(client.payloads).toEqual(['one']));
    client.socket.write('-');
    await soon(() => expect(client.payloads).toEqual(['one', 'one']));
    client.socket.write('+');
    await soon(() => expect(client.payloads).toEqual(['one', 'one', 'two']));
  });

  it('asks for a damaged packet again, and loses patience in the end', async () => {
    const { stub, path, closed } = await scene();
    const client = await Client.at(path);
    client.socket.write('$g#00');
    await soon(() => expect(client.items).toEqual([{ kind: 'nak' }]));
    client.send('g');
    await soon(() => expect(stub.heard).toEqual([packet('g')]));
    client.socket.write('$g#00'.repeat(20));
    await soon(() => expect(closed).toEqual([{ why: code('not-a-debugger'), reason: undefined }]));
    expect(stub.heard.at(-1)).toEqual(bye);
  });

  it('does not send a reply again and again', async () => {
    const { stub, path, closed } = await scene();
    const client = await Client.at(path);
    client.send('g');
    await soon(() => expect(stub.heard).toHaveLength(1));
    stub.answer('00');
    await soon(() => expect(client.payloads).toEqual(['00']));
    client.socket.write('-'.repeat(20));
    await soon(() => expect(closed).toEqual([{ why: code('not-a-debugger'), reason: undefined }]));
    expect(client.payloads.length).toBeLessThan(12);
  });

  it.each([
    ['garbage', () => Buffer.alloc(10_000, 'GET / HTTP/1.1\r\n')],
    ['a packet without end', () => Buffer.from(`$${'a'.repeat(MAX_PACKET + 1)}`)],
    [
      'a damaged packet without acknowledgements',
      () => Buffer.concat([encodePacket('QStartNoAckMode'), Buffer.from('$g#00')]),
    ],
  ])('turns away a client that sends %s, and tells the stub', async (_, bytes) => {
    const { stub, path, closed } = await scene();
    const client = await Client.at(path);
    client.socket.write(bytes());
    await once(client.socket, 'close');
    await soon(() => expect(closed).toEqual([{ why: code('not-a-debugger'), reason: undefined }]));
    expect(closed[0]!.why!.toLine()).not.toContain('\n');
    expect(stub.heard).toEqual([{ kind: 'bye', reason: closed[0]!.why!.message }]);
  });

  it('turns away a client that reads no replies', async () => {
    const { stub, path, closed } = await scene();
    const client = await Client.at(path);
    client.send('QStartNoAckMode', 'g');
    await soon(() => expect(stub.heard).toHaveLength(1));
    client.socket.pause();
    for (let n = 0; n < 300 && closed.length === 0; n++) {
      stub.answer('a'.repeat(120_000));
      await soon(() => expect(stub.session.settled).toBe(true));
    }
    await soon(() => expect(closed).toEqual([{ why: code('not-a-debugger'), reason: undefined }]));
  });

  it('serves one client', async () => {
    const { stub, path, log } = await scene();
    const first = await Client.at(path);
    const second = await Client.at(path);
    await once(second.socket, 'close');
    expect(log).toEqual([expect.stringContaining('another client')]);
    first.send('g');
    await soon(() => expect(stub.heard).toEqual([packet('g')]));
  });

  it('passes on what the stub tells', async () => {
    const onEvent = vi.fn();
    const { stub, path } = await scene({ onEvent });
    await Client.at(path);
    stub.session.send({ kind: 'event', event: { event: 'moved', node: 'node2' } });
    await soon(() => expect(onEvent).toHaveBeenCalledWith({ event: 'moved', node: 'node2' }));
  });
});

describe('the end', () => {
  it('comes when the client goes: the stub learns it, the socket is removed', async () => {
    const { stub, path, closed } = await scene();
    const client = await Client.at(path);
    client.send('D');
    await soon(() => expect(stub.heard).toHaveLength(1));
    client.socket.end();
    await soon(() => expect(closed).toEqual([{ why: undefined, reason: undefined }]));
    expect(stub.heard).toEqual([packet('D'), bye]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('comes when the client is killed while the stub is out of reach: the stub learns it when it is back', async () => {
    let away = false;
    const { stub, path, closed } = await scene({
      connect: (attempt) => {
        if (away) throw new GodwitError({ code: 'no-agent', message: 'no agent answers' });
        return stub.connect(attempt);
      },
    });
    const client = await Client.at(path);
    client.send('c');
    await soon(() => expect(stub.heard).toHaveLength(1));
    away = true;
    stub.cut();
    client.socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect(closed).toEqual([]);
    away = false;
    await soon(() => expect(closed).toHaveLength(1));
    expect(stub.heard).toEqual([packet('c'), bye]);
  });

  it('does not wait for ever for a stub that is out of reach', async () => {
    const { path, closed, log } = await scene({ connect: () => new Promise(() => {}), farewell: 100 });
    const client = await Client.at(path);
    client.socket.end();
    await soon(() => expect(closed).toEqual([{ why: undefined, reason: undefined }]));
    expect(log).toEqual([expect.stringContaining('did not learn')]);
  });

  it('comes when the stub has left the process, and not before', async () => {
    const { line, stub, closed } = await scene();
    await line.open();
    stub.leaves = false;
    const closing = line.close();
    await soon(() => expect(stub.heard).toEqual([bye]));
    await soon(() => expect(stub.session.settled).toBe(true));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(closed).toEqual([]);
    stub.session.send({ kind: 'bye', reason: 'the client has gone' });
    await closing;
    expect(closed).toHaveLength(1);
  });

  it('comes when there is no stub any more that could say so', async () => {
    const refusal = new GodwitError({ code: 'debug-session-lost', message: 'lost' });
    let gone = false;
    const connect = (attempt: Attempt) => (gone ? Promise.reject(refusal) : stub.connect(attempt));
    const { line, stub }: Scene = await scene({ connect });
    await line.open();
    stub.leaves = false;
    gone = true;
    const closing = line.close();
    await soon(() => expect(stub.heard).toEqual([bye]));
    stub.cut();
    await closing;
  });

  it('comes when the stub says good-bye, after its last reply', async () => {
    const { stub, path, closed } = await scene();
    const client = await Client.at(path);
    client.send('QStartNoAckMode', 'vCont;c');
    await soon(() => expect(stub.heard).toHaveLength(1));
    stub.answer('O1');
    stub.answer('W00');
    stub.session.send({ kind: 'bye', reason: 'the process has exited' });
    await once(client.socket, 'close');
    expect(client.payloads).toEqual(['OK', 'O1', 'W00']);
    await soon(() => expect(closed).toEqual([{ why: undefined, reason: 'the process has exited' }]));
    await soon(() => expect(stub.session.settled).toBe(true));
    expect(stub.heard).toEqual([packet('vCont;c')]);
  });

  it('waits for the acknowledgements that its client still owes', async () => {
    const { stub, path } = await scene();
    const client = await Client.at(path);
    client.send('c');
    await soon(() => expect(stub.heard).toHaveLength(1));
    stub.answer('O1');
    stub.answer('W00');
    stub.session.send({ kind: 'bye' });
    await soon(() => expect(client.payloads).toEqual(['O1']));
    client.socket.write('+');
    await once(client.socket, 'close');
    expect(client.payloads).toEqual(['O1', 'W00']);
  });

  it('comes when asked for, also before any client came', async () => {
    const { line, closed, path } = await scene();
    await line.close();
    expect(closed).toEqual([{ why: undefined, reason: undefined }]);
    expect(existsSync(path)).toBe(false);
  });
});

describe('towards the stub', () => {
  it('goes on over a stream that is cut again and again', async () => {
    const { stub, path } = await scene();
    const client = await Client.at(path);
    client.send('QStartNoAckMode');
    stub.onMessage = (message) => {
      if (message.kind !== 'packet') return;
      const n = Number(message.payload);
      if (n % 3 === 0) stub.cut();
      stub.answer(`${n}`);
      if (n % 3 === 1) stub.cut();
    };
    const asked = Array.from({ length: 12 }, (_, n) => `${n}`);
    for (const n of asked) {
      client.send(n);
      await soon(() => expect(client.payloads.at(-1)).toBe(n));
    }
    expect(client.payloads).toEqual(['OK', ...asked]);
    expect(stub.heard).toEqual(asked.map(packet));
    expect(stub.attempts.length).toBeGreaterThan(7);
    expect(stub.attempts.map(({ fresh }) => fresh)).toEqual(stub.attempts.map((_, n) => n === 0));
    expect(new Set(stub.attempts.map(({ session }) => session))).toEqual(new Set([SESSION]));
  });

  it('tries with growing pauses until it is answered', async () => {
    const times: number[] = [];
    const { stub, path, log } = await scene({
      connect: async (attempt) => {
        times.push(performance.now());
        if (times.length < 4) throw new Error('ECONNREFUSED');
        return stub.connect(attempt);
      },
    });
    const client = await Client.at(path);
    client.send('g');
    await soon(() => expect(stub.heard).toEqual([packet('g')]));
    const pauses = times.slice(1).map((time, n) => time - times[n]!);
    expect(pauses[0]).toBeGreaterThan(80);
    expect(pauses[1]).toBeGreaterThan(180);
    expect(pauses[2]).toBeGreaterThan(380);
    expect(log).toHaveLength(3);
    expect(log[0]).toContain('ECONNREFUSED');
  });

  const ended = new GodwitError({
    code: 'job-ended',
    message: 'job x has ended',
    fix: 'see `godwit history` for how',
  });
  it.each<[string, LineOptions['connect']]>([
    ['an error', () => Promise.reject(ended)],
    [
      'a frame',
      async () => {
        const [here, there] = duplexPair();
        refuse(there, ended);
        return here;
      },
    ],
  ])('ends with a refusal that no waiting changes, brought by %s', async (_, connectStub) => {
    const { line, path, closed } = await scene({ connect: connectStub });
    const client = await Client.at(path);
    await once(client.socket, 'close');
    await soon(() => expect(closed).toHaveLength(1));
    expect(closed[0]!.why!.toLine()).toBe('job x has ended; see `godwit history` for how');
    await expect(line.open()).rejects.toMatchObject({
      code: expect.stringMatching(/^(job-ended|line-closed)$/),
    });
  });

  it('ends when the stub serves another debugger', async () => {
    const { path, closed } = await scene({ session: 'another' });
    await Client.at(path);
    await soon(() => expect(closed).toEqual([{ why: code('wrong-session'), reason: undefined }]));
  });

  it('opens before a client comes, and says then why it cannot', async () => {
    const { line, stub } = await scene();
    await line.open();
    await line.open();
    expect(stub.attempts).toHaveLength(1);
    const refused = new Line({ connect: () => Promise.reject(ended) });
    await expect(refused.open()).rejects.toBe(ended);
  });

  it('lets go of a stream that comes when all is over', async () => {
    let give: (stream: Duplex) => void = () => {};
    const { line, stub, path } = await scene({
      farewell: 50,
      connect: ({ signal }) => {
        signal.addEventListener('abort', () => setTimeout(() => give(late), 10));
        return new Promise((resolve) => {
          give = resolve;
        });
      },
    });
    const [late] = duplexPair();
    await Client.at(path);
    await line.close();
    await once(late, 'close');
    expect(stub.heard).toEqual([]);
  });
});

describe('where it listens', () => {
  const line = () => {
    const made = new Line({ connect: () => new Promise(() => {}), farewell: 50 });
    undo.push(() => made.close());
    return made;
  };

  it('is a socket for its user alone', async () => {
    const path = await line().listen({ path: join(folder, 'a.sock') });
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('is a port of this machine alone', async () => {
    const address = await line().listen({ port: 0 });
    expect(address).toMatch(/^127\.0\.0\.1:\d+$/);
    const socket = connect(Number(address.split(':')[1]), '127.0.0.1');
    await once(socket, 'connect');
    socket.destroy();
  });

  it('must not be taken', async () => {
    const address = await line().listen({ port: 0 });
    await expect(line().listen({ port: Number(address.split(':')[1]) })).rejects.toMatchObject({
      code: 'port-taken',
      message: `can't listen at ${address}: it is taken`,
    });
    const path = await line().listen({ path: join(folder, 'a.sock') });
    await expect(line().listen({ path })).rejects.toMatchObject({ code: 'port-taken' });
    await once(connect(path), 'connect');
  });

  it('replaces a socket without a listener, and no other file', async () => {
    const path = join(folder, 'stale.sock');
    const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    await once(spawn(process.execPath, ['-e', script]), 'exit');
    expect(existsSync(path)).toBe(true);
    await line().listen({ path });
    await once(connect(path), 'connect');
    const file = join(folder, 'file');
    writeFileSync(file, 'precious');
    await expect(line().listen({ path: file })).rejects.toMatchObject({ code: 'port-taken' });
    expect(statSync(file).size).toBe(8);
  });

  it.each([
    ['a folder that is not there', () => ({ path: join(folder, 'no/such.sock') })],
    ['too long a path', () => ({ path: join(folder, 'a'.repeat(120)) })],
    ['no port', () => ({ port: 70_000 })],
  ])('cannot be %s', async (_, endpoint) => {
    await expect(line().listen(endpoint())).rejects.toMatchObject({ code: 'cannot-listen' });
  });
});

describe('a real gdb on a line to a real gdbserver', () => {
  /** Joins a stub to a gdbserver's standard streams; cuts its stream, and moves it, every few messages. */
  function bridge(stub: Stub, server: ChildProcess): void {
    const reader = new PacketReader();
    let messages = 0;
    stub.onMessage = (message) => {
      if (message.kind === 'packet') server.stdin!.write(encodePacket(message.payload));
      messages++;
      if (messages % 60 === 30) stub.cut();
      if (messages % 60 === 0) stub.move();
    };
    server.stdout!.on('data', (chunk: Buffer) => {
      for (const item of reader.push(chunk)) {
        if (item.kind !== 'packet') continue;
        server.stdin!.write('+');
        stub.answer(item.payload);
        if (messages % 60 === 45) stub.cut();
      }
    });
    server.stdin!.on('error', () => {});
  }

  function start(command: string, args: string[]): ChildProcess {
    const child = spawn(command, args, { cwd: folder, stdio: ['pipe', 'pipe', 'pipe'] });
    const gone = once(child, 'exit');
    undo.push(async () => {
      child.kill('SIGKILL');
      await gone;
    });
    return child;
  }

  async function outputOf(child: ChildProcess): Promise<string> {
    const parts: string[] = [];
    for (const stream of [child.stdout!, child.stderr!])
      stream.on('data', (chunk) => parts.push(String(chunk)));
    await once(child, 'close');
    return parts.join('');
  }

  it.each(['on', 'off'])(
    'sees no cut (no-ack mode %s)',
    async (noack) => {
      execFileSync('gcc', ['-g', '-O0', '-pthread', '-o', join(folder, 'stepping'), fixture('stepping.c')]);
      const { stub, path, closed } = await scene();
      bridge(stub, start('gdbserver', ['--once', '-', join(folder, 'stepping')]));
      const commands = [
        'set pagination off',
        'set confirm off',
        'set sysroot /',
        'set remotetimeout 30',
        `set remote noack-packet ${noack}`,
        `target remote ${path}`,
        'break step if i == 5',
        'continue',
        'info locals',
        'next',
        'next',
        'print square',
        `restore ${fixture('bytes.bin')} binary &blob`,
        'print/x blob[255]@2',
        'info threads',
        'delete',
        'watch go[2]',
        'continue',
        'delete',
        'continue',
      ];
      const output = await outputOf(
        start('gdb', ['-nx', '-batch', ...commands.flatMap((one) => ['-ex', one]), join(folder, 'stepping')]),
      );
      expect(output).toMatch(/hit Breakpoint 1(\.1)?, step \(i=5\)/);
      expect(output).toContain('$1 = 25');
      expect(output).toMatch(/\$2 = \{0xff, 0x0?0?\}/);
      expect(output).toContain('New value = 36');
      expect(output).toContain('exited normally');
      expect(output).not.toMatch(/Remote|packet error|Ignoring|Timeout/i);
      expect(stub.attempts.length).toBeGreaterThan(4);
      await soon(() => expect(closed).toEqual([{ why: undefined, reason: undefined }]));
      expect(stub.heard.at(-1)).toEqual(bye);
    },
    60_000,
  );
});
