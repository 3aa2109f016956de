/** A home's file server whose host is hostile: whatever is sent, it answers as if that were the last of its worries. */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type ServeOrder, serveCommand } from '../../agent/machine/homefs/program';
import { SANITIZED } from '../support/c-programs';
import { type Answer, FUSE, HostileHost, name, u32, u64 } from '../support/hostile-host';
import { heard, MountedHome } from '../support/mounted-home';
import { end, endAll, launch, run } from '../support/processes';
import { inProject } from '../support/project';

const ROOT = 1;
const ENOENT = -2;
const EBADF = -9;
const ENFILE = -23;
const EINVAL = -22;
const ENOSYS = -38;
const EPROTO = -71;
const ESTALE = -116;
const O_RDWR = 2;
const O_TRUNC = 0o1000;
/** <linux/fuse.h>: FOPEN_KEEP_CACHE, FUSE_AUTO_INVAL_DATA. */
const KEEP_CACHE = 1 << 1;
const AUTO_INVAL_DATA = 1 << 12;
const PATIENCE = { timeout: 60_000, interval: 50 };
/** A whole fuse_init_in of FUSE 7.45, and every feature offered. */
const INIT = Buffer.concat([u32(7, 45, 1 << 20, 0xffffffff), Buffer.alloc(48)]);

let folder: string;
let server: ChildProcess;
let host: HostileHost;
let made = 0;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-hostile-'));
});
afterEach(() => {
  host?.leave();
  end(server);
});
afterAll(() => {
  endAll();
  rmSync(folder, { recursive: true });
});

/** The same program with threads that are slow to come back from giving up a lock. */
async function compileLate(): Promise<string> {
  const sources = ['homefs', 'common'].flatMap((part) =>
    readdirSync(inProject('agent', 'native', part))
      .filter((file) => file.endsWith('.c'))
      .map((file) => inProject('agent', 'native', part, file)),
  );
  const program = join(folder, 'late-homefs');
  const late = ['-Dpthread_mutex_unlock=late_unlock', inProject('test', 'programs', 'late-unlock.c')];
  const flags = ['-std=gnu11', '-D_GNU_SOURCE', '-O1', '-pthread'];
  const { status, stderr } = await run(['cc', ...flags, ...SANITIZED, '-o', program, ...sources, ...late]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return program;
}

/** A server for a new folder, whose memory is never zero by chance (mallopt(3), M_PERTURB). */
async function serve(order: Partial<ServeOrder> = {}): Promise<string> {
  const root = join(folder, `root ${made}`);
  mkdirSync(root);
  const socket = join(folder, `socket ${made++}`);
  const user = { uid: 0, gid: 0, groups: [] };
  const { program } = MountedHome;
  server = launch(serveCommand({ program, socket, id: 'one', root, user, without: [], ...order }), {
    env: { MALLOC_PERTURB_: '165' },
  });
  await heard(server, 'serving');
  host = await HostileHost.join(socket);
  const agreed = await host.ask(FUSE.INIT, 0, INIT);
  expect(agreed.error).toBe(0);
  // Each time the host's kernel saw another time of a file it would drop what it has of it, its own writes included.
  expect(agreed.body.readUInt32LE(12) & AUTO_INVAL_DATA).toBe(0);
  return root;
}

const lookup = async (file: string, node: number | bigint = ROOT) =>
  (await host.ask(FUSE.LOOKUP, node, name(file))).body.readBigUInt64LE(0);
const handleOf = ({ body }: Answer) => body.readBigUInt64LE(0);
/** It answers as it should, so it is well. */
const isWell = async () => expect((await host.ask(FUSE.GETATTR, ROOT, u32(0, 0), u64(0))).error).toBe(0);

describe('a file server', () => {
  it('knows no file of a number that it has not given', async () => {
    await serve();
    for (const node of [0n, 2n, 1023n, 1024n, 1n << 32n, 1n << 63n, (1n << 64n) - 1n])
      for (const opcode of [...Array(60).keys()].filter(
        (code) => ![FUSE.FORGET, FUSE.INIT, FUSE.BATCH_FORGET].includes(code as never),
      ))
        expect([ESTALE, ENOSYS]).toContain((await host.ask(opcode, node, Buffer.alloc(128))).error);
    for (const node of [0, 2, 1023]) host.send(HostileHost.request(FUSE.FORGET, node, u64(1)));
    host.send(HostileHost.request(FUSE.BATCH_FORGET, 0, Buffer.concat([u32(2, 0), u64(0, 1, 1n << 63n, 1)])));
    await isWell();
  });

  it('gives out a handle that is closed before it is told', { timeout: 300_000 }, async () => {
    const root = await serve({ program: await compileLate() });
    writeFileSync(join(root, 'file'), 'content');
    const file = await lookup('file');
    const close = (fh: number | bigint) => host.ask(FUSE.RELEASE, file, u64(fh), u32(0, 0), u64(0));
    for (let round = 0; round < 50; round++) {
      // Numbers are small, and used again.
      const opening = Array.from({ length: 8 }, () => [
        host.ask(FUSE.OPEN, file, u32(O_RDWR, 0)),
        ...Array.from({ length: 8 }, (_, nth) => close(nth + 1)),
      ]).flat();
      const opened = (await Promise.all(opening)).filter(({ body }) => body.length > 0);
      for (const answer of opened) {
        expect(answer.error).toBe(0);
        // A small number, and not what memory is filled with that is free.
        expect(handleOf(answer)).toBeLessThan(1000n);
      }
      await Promise.all(opened.map((one) => close(handleOf(one))));
    }
    // Neither closed too often nor left open.
    host.send(HostileHost.request(FUSE.FORGET, file, u64(1)));
    await isWell();
    expect(await lookup('file')).toBe(file);
  });

  it('forgets no more than it has told, and nothing that is in use', async () => {
    const root = await serve();
    writeFileSync(join(root, 'file'), 'content');
    const file = await lookup('file');
    const fh = handleOf(await host.ask(FUSE.OPEN, file, u32(O_RDWR, 0)));
    for (const node of [file, file, ROOT]) host.send(HostileHost.request(FUSE.FORGET, node, u64(-1)));
    const read = await host.ask(FUSE.READ, file, u64(fh, 0), u32(7, 0), u64(0), u32(0, 0));
    expect(read.body.toString()).toBe('content');
    for (let nth = 0; nth < 3; nth++) await host.ask(FUSE.RELEASE, file, u64(fh), u32(0, 0), u64(0));
    expect((await host.ask(FUSE.READ, ROOT, u64(fh, 0), u32(7, 0), u64(0), u32(0, 0))).error).toBe(EBADF);
    expect((await host.ask(FUSE.GETATTR, file, u32(0, 0), u64(0))).error).toBe(ESTALE);
    await isWell();
  });

  it('takes no name for a path, and none that is not all there', async () => {
    await serve();
    for (const bad of ['.', '..', '', 'a/b', '/', '../root 0'])
      expect((await host.ask(FUSE.LOOKUP, ROOT, name(bad))).error).toBe(EINVAL);
    expect((await host.ask(FUSE.LOOKUP, ROOT, Buffer.from('endless'))).error).toBe(EINVAL);
    expect((await host.ask(FUSE.LOOKUP, ROOT, name('x'.repeat(1 << 20)))).error).toBeLessThan(0);
    expect((await host.ask(FUSE.LOOKUP, ROOT, name('none'))).error).toBe(ENOENT);
  });

  it('reads no more of a request than there is, whatever the request says', async () => {
    const root = await serve();
    writeFileSync(join(root, 'file'), 'content');
    const file = await lookup('file');
    const fh = handleOf(await host.ask(FUSE.OPEN, file, u32(O_RDWR, 0)));
    const write = (size: number, data: string) =>
      host.ask(FUSE.WRITE, file, u64(fh, 0), u32(size, 0), u64(0), u32(0, 0), Buffer.from(data));
    expect((await write(1 << 20, 'x')).error).toBe(EINVAL);
    expect((await write(0xffffffff, 'x')).error).toBe(EINVAL);
    expect(readFileSync(join(root, 'file'), 'utf8')).toBe('content');
    for (const opcode of Array(60).keys()) {
      if (opcode === FUSE.INIT) continue;
      for (const size of [0, 1, 4, 8, 15, 16, 24, 39]) {
        const body = Buffer.alloc(size, 0xff);
        // These have no answer.
        if (opcode === FUSE.FORGET || opcode === FUSE.BATCH_FORGET)
          host.send(HostileHost.request(opcode, file, body));
        else await host.ask(opcode, file, body);
      }
    }
    await isWell();
  });

  it('has pages dropped for what others have changed, and not for what the host writes', async () => {
    const root = await serve();
    const path = join(root, 'file');
    writeFileSync(path, 'content');
    const file = await lookup('file');
    const opened = async (flags: number) => {
      const answer = await host.ask(FUSE.OPEN, file, u32(flags, 0));
      return { fh: handleOf(answer), keeps: (answer.body.readUInt32LE(8) & KEEP_CACHE) !== 0 };
    };
    const { fh } = await opened(O_RDWR);
    const write = (text: string) => {
      const rest = [u32(text.length, 0), u64(0), u32(0, 0), Buffer.from(text)];
      return host.ask(FUSE.WRITE, file, u64(fh, 0), ...rest);
    };
    for (const text of ['CONTENT', 'longer content', 'C']) {
      expect((await write(text)).error).toBe(0);
      for (const flags of [O_RDWR, 0]) expect((await opened(flags)).keeps).toBe(true);
    }
    expect(host.changed).toEqual([]);
    writeFileSync(path, 'another');
    await vi.waitFor(() => expect(host.changed).toEqual([file]), PATIENCE);
    // Of a change the host hears in either way, once; also of one between two of its own.
    for (const text of ['other', 'others']) {
      host.changed.splice(0);
      writeFileSync(path, text);
      expect((await write('C')).error).toBe(0);
      const { keeps } = await opened(O_RDWR);
      if (keeps) await vi.waitFor(() => expect(host.changed).toEqual([file]), PATIENCE);
      else expect(host.changed).toEqual([]);
      expect((await opened(O_RDWR)).keeps).toBe(true);
    }
  });

  it('agrees on the protocol once', async () => {
    await serve();
    expect((await host.ask(FUSE.INIT, 0, INIT)).error).toBe(EPROTO);
    await isWell();
  });

  it('opens neither FIFO nor device under a name that the host believes to be free', async () => {
    const root = await serve();
    await run(['mkfifo', join(root, 'fifo')]);
    await run(['mknod', join(root, 'null'), 'c', '1', '3']);
    for (const file of ['fifo', 'null'])
      for (let thread = 0; thread < 20; thread++) {
        const asked = host.ask(FUSE.CREATE, ROOT, u32(O_TRUNC, 0o644, 0, 0), name(file));
        expect((await asked).error).toBe(ESTALE);
      }
    await isWell();
  });

  it('knows of no more files than it has room for', { timeout: 300_000 }, async () => {
    const root = await serve({ maxNodes: 1024 });
    for (let nth = 0; nth < 1100; nth++) writeFileSync(join(root, `${nth}`), '');
    const answers = [];
    for (let nth = 0; nth < 1100; nth++) answers.push(await host.ask(FUSE.LOOKUP, ROOT, name(`${nth}`)));
    expect(answers.filter(({ error }) => error === ENFILE)).toHaveLength(1100 - 1022);
    const known = answers.filter(({ error }) => error === 0).map(({ body }) => body.readBigUInt64LE(0));
    for (const node of known) host.send(HostileHost.request(FUSE.FORGET, node, u64(1)));
    expect((await host.ask(FUSE.LOOKUP, ROOT, name('1099'))).error).toBe(0);
  });

  it('ends when the host does not keep to the form of messages', async () => {
    await serve();
    host.send(HostileHost.request(FUSE.GETATTR, ROOT, Buffer.alloc(0), 1n, 12));
    await host.closed;
    expect(server.signalCode).toBeNull();
  });
});
