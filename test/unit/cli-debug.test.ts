import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import type { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { GodwitError, noSuchJob } from '../../agent/api/errors';
import { type Message, Session } from '../../agent/debug/link/session';
import { encodePacket } from '../../agent/debug/rsp/codec';
import { atEnd, FakeAgent, folder, type Run, until } from './cli-fixture';

/** A stub that answers each packet with it in capitals, but knows no requests together, and an agent that leads to it. */
async function scene() {
  const heard: Message[] = [];
  const opened: { session: string; fresh: boolean; pid?: number | undefined; job: string }[] = [];
  const place: { session?: Session; stream?: Duplex } = {};
  const agent: FakeAgent = await FakeAgent.start({
    'debug.open': (params) => {
      opened.push(params);
      const session = place.session ?? new Session(params.session);
      if (!place.session)
        session.on('message', (message) => {
          const isTogether = message.kind === 'packet' && message.payload.startsWith('Qgodwit.');
          if (!isTogether) heard.push(message);
          if (message.kind === 'packet')
            session.send({ kind: 'packet', payload: isTogether ? '' : message.payload.toUpperCase() });
          // As a stub that has left the process.
          if (message.kind === 'bye') session.send({ kind: 'bye' });
        });
      place.session = session;
      const ticket = agent.issue((stream) => {
        place.stream = stream;
        session.attach(stream);
      });
      return { ticket, id: 'abcdefghij', node: 'node2', home: 'node1', pid: 12 };
    },
    'debug.stay': () => new Promise(() => {}),
  });
  atEnd(() => place.session?.detach());
  return { agent, heard, opened, place };
}

/** What a command said last is here when it has been read, which may be after the command has ended. */
const left = (heard: Message[]) => until(() => heard.some(({ kind }) => kind === 'bye'), 'the bye');

/** A gdb that writes down its arguments and does what its first own argument says. */
const GDB = `#!${process.execPath}
const fs = require('node:fs');
const args = process.argv.slice(2);
const path = args.find((arg) => arg.startsWith('target remote ')).slice('target remote '.length);
const note = (what) => fs.appendFileSync(process.env.NOTES, JSON.stringify(what) + '\\n');
note({ args, path, mode: fs.statSync(require('node:path').dirname(path)).mode & 0o777 });
const socket = require('node:net').connect(path);
socket.on('data', (data) => {
  if (String(data).includes('$')) socket.write('+');
  note({ reply: String(data) });
});
socket.on('close', () => note({ closed: true }));
const own = args[args.indexOf('--do') + 1];
socket.on('connect', () => {
  socket.write(${JSON.stringify(encodePacket('g').toString())});
  if (own === 'leave') socket.once('data', () => setTimeout(() => process.exit(42), 100));
  if (own === 'die') socket.once('data', () => process.kill(process.pid, 'SIGABRT'));
  if (own === 'stay') socket.on('close', () => process.exit(3));
});
process.on('SIGTERM', () => process.exit(15));
`;

let programs = 0;
function fakeGdb() {
  const bin = join(folder, `bin${++programs}`);
  mkdirSync(bin);
  const notes = join(bin, 'notes');
  writeFileSync(notes, '');
  writeFileSync(join(bin, 'gdb'), GDB);
  chmodSync(join(bin, 'gdb'), 0o755);
  const env = { PATH: `${bin}:${process.env.PATH}`, NOTES: notes };
  const read = (): Record<string, unknown>[] =>
    readFileSync(notes, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  return { env, read, first: () => read()[0] as { args: string[]; path: string; mode: number } };
}

const linesLeft = () => readdirSync(folder).filter((name) => name.startsWith('godwit-'));
const replied = (gdb: ReturnType<typeof fakeGdb>) =>
  until(() => gdb.read().some(({ reply }) => String(reply).includes('$G#')), 'a reply');

describe('gdb', () => {
  it('is attached first, then does what it is told; its status counts', async () => {
    const { agent, heard, opened } = await scene();
    const gdb = fakeGdb();
    const args = ['gdb', 'sim', '-p', '7', '--', '-q', '-ex', 'break main', '--do', 'leave'];
    const { status, stdout, stderr } = await agent.godwit(args, { env: gdb.env });
    expect({ status, stdout, stderr }).toEqual({ status: 42, stdout: '', stderr: '' });
    const { args: given, path, mode } = gdb.first();
    expect(given).toEqual([
      ...['-iex', 'set remotetimeout 3600'],
      ...['-ex', 'set sysroot /'],
      ...['-ex', `target remote ${path}`],
      ...args.slice(5),
    ]);
    expect(mode).toBe(0o700);
    expect(existsSync(dirname(path))).toBe(false);
    expect(opened).toMatchObject([{ job: 'sim', pid: 7, fresh: true }]);
    await left(heard);
    expect(heard).toMatchObject([{ kind: 'packet', payload: 'g' }, { kind: 'bye' }]);
  });

  it('stays when Ctrl-C is typed', async () => {
    const { agent, heard } = await scene();
    const gdb = fakeGdb();
    const run = agent.run(['gdb', 'sim', '--', '--do', 'stay'], { env: gdb.env });
    await replied(gdb);
    run.child.kill('SIGINT');
    run.child.kill('SIGQUIT');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(run.child.exitCode).toBe(null);
    expect(heard).toEqual([{ kind: 'packet', payload: 'g' }]);
    run.child.kill('SIGTERM');
    expect(await run.status()).toBe(15);
    expect(heard.at(-1)).toMatchObject({ kind: 'bye' });
    expect(linesLeft()).toEqual([]);
  });

  it('dies of a signal', async () => {
    const { agent } = await scene();
    const gdb = fakeGdb();
    expect((await agent.godwit(['gdb', 'sim', '--', '--do', 'die'], { env: gdb.env })).status).toBe(134);
    expect(linesLeft()).toEqual([]);
  });

  it('notices nothing of an agent that restarts', async () => {
    const { agent, opened, place } = await scene();
    const gdb = fakeGdb();
    const run = agent.run(['gdb', 'sim', '--', '--do', 'stay'], { env: gdb.env });
    await replied(gdb);
    await agent.stop();
    place.session!.send({ kind: 'packet', payload: 'late' });
    await agent.start();
    await until(() => gdb.read().some(({ reply }) => String(reply).includes('late')), 'the late reply');
    expect(opened.map(({ fresh }) => fresh)).toEqual([true, false]);
    expect(new Set(opened.map(({ session }) => session)).size).toBe(1);
    expect(run.stderr).toBe('');
    run.child.kill('SIGTERM');
    await run.status();
  });

  it('tells of moves when asked to', async () => {
    const { agent, place } = await scene();
    const gdb = fakeGdb();
    const run = agent.run(['gdb', 'sim', '--verbose', '--', '--do', 'stay'], { env: gdb.env });
    await replied(gdb);
    place.session!.send({ kind: 'event', event: { event: 'moved', node: 'node3' } });
    await until(() => run.stderr.includes('node3'), 'the move on stderr');
    place.session!.send({ kind: 'bye', reason: 'the job has ended' });
    expect(await run.status()).toBe(3);
  });

  it.each([
    ['there is no such job', noSuchJob('sim')],
    [
      'it is debugged already',
      new GodwitError({ code: 'already-debugged', message: 'it has one', fix: 'end it' }),
    ],
    ['anything else stands against it', new GodwitError({ code: 'internal', message: 'it\nbroke' })],
  ])('is not started when %s', async (_, refusal) => {
    const { agent } = await scene();
    agent.answer({
      'debug.open': () => {
        throw refusal;
      },
    });
    const gdb = fakeGdb();
    const { status, stdout, stderr } = await agent.godwit(['gdb', 'sim'], { env: gdb.env });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toBe(`godwit: ${refusal.toLine().replace('\n', ' ')}\n`);
    expect(agent.calls).toHaveLength(1);
    expect(gdb.read()).toEqual([]);
    expect(linesLeft()).toEqual([]);
  });

  it('is not installed', async () => {
    const { agent, heard } = await scene();
    const { status, stderr } = await agent.godwit(['gdb', 'sim'], { env: { PATH: folder } });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^godwit: gdb is not installed; [^\n]+\n$/);
    await left(heard);
    expect(heard).toMatchObject([{ kind: 'bye' }]);
    expect(linesLeft()).toEqual([]);
  });

  it('is interrupted while it is being attached', async () => {
    const { agent } = await scene();
    agent.answer({ 'debug.open': () => new Promise(() => {}) });
    const run = agent.run(['gdb', 'sim']);
    await until(() => agent.calls.length > 0);
    run.child.kill('SIGINT');
    expect(await run.status()).toBe(130);
    expect(run.stderr).toBe('');
    expect(linesLeft()).toEqual([]);
  });
});

describe('rsp', () => {
  const address = async (run: Run) => {
    await until(() => run.stdout.includes('\n'), 'the line on stdout');
    return /^listening at (.+)\n$/.exec(run.stdout)![1]!;
  };
  const packet = encodePacket('g');

  it('serves one client at a port, until it leaves', async () => {
    const { agent, heard } = await scene();
    const run = agent.run(['rsp', 'sim', '--listen', '0']);
    const [host, port] = (await address(run)).split(':');
    expect(host).toBe('127.0.0.1');
    const client = connect(Number(port), host);
    client.write(packet);
    let text = '';
    client.on('data', (data) => {
      text += data;
    });
    await until(() => text.includes('$G#'));
    client.end();
    expect(await run.status()).toBe(0);
    expect(run.stderr).toBe('');
    await left(heard);
    expect(heard).toMatchObject([{ kind: 'packet', payload: 'g' }, { kind: 'bye' }]);
  });

  it('serves at a path below the current folder, for its user alone', async () => {
    const { agent } = await scene();
    const run = agent.run(['rsp', 'sim', '-p', '7', '--listen', 'the-line']);
    const path = await address(run);
    expect(path.endsWith('/the-line')).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const client = connect(path);
    await once(client, 'connect');
    client.destroy();
    expect(await run.status()).toBe(0);
    expect(existsSync(path)).toBe(false);
  });

  it('ends when the stub does', async () => {
    const { agent, place } = await scene();
    const run = agent.run(['rsp', 'sim', '--listen', '0']);
    await address(run);
    place.session!.send({ kind: 'bye', reason: 'the job has ended' });
    expect(await run.status()).toBe(0);
  });

  it('ends with an error line when the stub is lost', async () => {
    const { agent } = await scene();
    const run = agent.run(['rsp', 'sim', '--listen', '0']);
    await address(run);
    agent.answer({
      'debug.open': () => {
        throw noSuchJob('sim');
      },
    });
    await agent.restart();
    expect(await run.status()).toBe(1);
    expect(run.stderr).toBe(`godwit: ${noSuchJob('sim').toLine()}\n`);
  });

  it('tells the stub when it is interrupted', async () => {
    const { agent, heard } = await scene();
    const run = agent.run(['rsp', 'sim', '--listen', 'another-line']);
    const path = await address(run);
    run.child.kill('SIGINT');
    expect(await run.status()).toBe(130);
    expect(run.stderr).toBe('');
    await left(heard);
    expect(heard).toMatchObject([{ kind: 'bye' }]);
    expect(existsSync(path)).toBe(false);
  });

  it('says for whom it stays, for as long as it lives', async () => {
    const { agent } = await scene();
    const run = agent.run(['rsp', 'sim', '--listen', '0']);
    await address(run);
    await until(() => agent.params('debug.stay').length > 0, 'debug.stay');
    const [{ session }] = agent.params('debug.open') as [{ session: string }];
    expect(agent.params('debug.stay')).toEqual([{ job: 'abcdefghij', pid: 12, session }]);
    run.child.kill('SIGTERM');
    await run.status();
  });

  it('touches no job when its place is taken', async () => {
    const { agent } = await scene();
    const first = agent.run(['rsp', 'sim', '--listen', '0']);
    const port = (await address(first)).split(':')[1]!;
    const opened = agent.params('debug.open').length;
    const { status, stdout, stderr } = await agent.godwit(['rsp', 'sim', '--listen', port]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^godwit: can't listen at 127\.0\.0\.1:\d+: it is taken; [^\n]+\n$/);
    expect(agent.params('debug.open')).toHaveLength(opened);
  });
});
