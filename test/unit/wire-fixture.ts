/** A contract, a folder with certificates, and servers that end with their test. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { z } from 'zod';
import type { Contract, Events, Handlers } from '../../agent/api/contract';
import { GodwitError } from '../../agent/api/errors';
import { type Authority, issueCertificate, makeAuthority } from '../../agent/machine/certificates/authority';
import { serveTls, serveUnix } from '../../agent/wire/server';
import { Tickets } from '../../agent/wire/tickets';
import { loadTls, type TlsIdentity } from '../../agent/wire/tls';

export const contract = {
  add: { params: z.object({ a: z.number(), b: z.number() }), result: z.object({ sum: z.number() }) },
  fail: { params: z.object({ how: z.enum(['named', 'plain']) }), result: z.object({}) },
  forever: { params: z.object({}), result: z.object({}) },
  wrong: { params: z.object({}), result: z.object({ n: z.number() }) },
  large: { params: z.object({ bytes: z.int() }), result: z.object({ text: z.string() }) },
  whoami: { params: z.object({}), result: z.object({ name: z.string(), kind: z.string() }) },
  stream: { params: z.object({ what: z.string() }), result: z.object({ ticket: z.string() }) },
} as const satisfies Contract;
export type TestContract = typeof contract;

export const events = {
  tick: z.object({ n: z.number(), fill: z.string().optional() }),
} as const satisfies Events;
export type TestEvents = typeof events;

export interface Seen {
  /** Calls of `forever` that have begun, and those of them that were given up. */
  begun: number;
  aborted: number;
}

export const makeHandlers = (
  seen: Seen,
  issue: (what: string) => string = () => '',
): Handlers<TestContract> => ({
  add: async ({ a, b }) => ({ sum: a + b }),
  fail: async ({ how }) => {
    if (how === 'plain') throw new TypeError('it broke');
    throw new GodwitError({
      code: 'no-such-thing',
      message: 'there is no such thing',
      fix: 'look elsewhere',
    });
  },
  forever: (_params, { signal }) => {
    seen.begun++;
    return new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        seen.aborted++;
        reject(signal.reason);
      });
    });
  },
  wrong: async () => ({ n: 'one' }) as never,
  large: async ({ bytes }) => ({ text: 'x'.repeat(bytes) }),
  whoami: async (_params, { name, kind }) => ({ name, kind }),
  stream: async ({ what }) => ({ ticket: issue(what) }),
});

const endings: (() => Promise<unknown> | unknown)[] = [];
/** Runs when the test is over, last registered first. */
export const atEnd = (ending: () => Promise<unknown> | unknown) => void endings.push(ending);
afterEach(async () => {
  while (endings.length > 0) await endings.pop()!();
});

export let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-wire-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

let sockets = 0;
export const freshPath = () => join(folder, `${++sockets}.sock`);

export interface Certificates {
  authority: Authority;
  node1: TlsIdentity;
  node2: TlsIdentity;
  stranger: TlsIdentity;
  expired: TlsIdentity;
}

export async function makeCertificates(): Promise<Certificates> {
  const authority = await makeAuthority(join(folder, 'ca'), 'test authority');
  const other = await makeAuthority(join(folder, 'other'), 'other authority');
  const issue = async (by: Authority, name: string, place = name) =>
    issueCertificate(by, join(folder, place), name);
  const expired = await issue(authority, 'node3');
  expire(authority, expired.cert, expired.key);
  return {
    authority,
    node1: await loadTls(await issue(authority, 'node1')),
    node2: await loadTls(await issue(authority, 'node2')),
    // A node of another cluster that knows this one's authority, but is not signed by it.
    stranger: await loadTls({ ...(await issue(other, 'node2', 'stranger')), ca: authority.cert }),
    expired: await loadTls(expired),
  };
}

/** Signs the certificate anew, valid until yesterday. */
function expire(authority: Authority, cert: string, key: string) {
  const request = `${cert}.csr`;
  execFileSync('openssl', ['req', '-new', '-key', key, '-subj', '/CN=node3', '-out', request], {
    stdio: 'pipe',
  });
  const signing = ['-CA', authority.cert, '-CAkey', authority.key, '-days', '-1'];
  execFileSync('openssl', ['x509', '-req', '-in', request, '-out', cert, ...signing], { stdio: 'pipe' });
}

export async function unixServer(
  options: Partial<Parameters<typeof serveUnix<TestContract, TestEvents>>[0]> = {},
) {
  const seen: Seen = { begun: 0, aborted: 0 };
  const path = options.path ?? freshPath();
  const tickets = new Tickets();
  const handlers = makeHandlers(seen);
  const common = { name: 'node1', kind: 'agent', contract, handlers, events, tickets } as const;
  const server = await serveUnix<TestContract, TestEvents>({ ...common, path, ...options });
  atEnd(() => server.close());
  return { server, path, seen, tickets };
}

export async function tlsServer(
  tls: TlsIdentity,
  options: Partial<Parameters<typeof serveTls<TestContract, TestEvents>>[0]> = {},
) {
  const seen: Seen = { begun: 0, aborted: 0 };
  const tickets = new Tickets();
  const handlers = makeHandlers(seen);
  const common = { name: 'node1', kind: 'agent', contract, handlers, events, tickets } as const;
  const server = await serveTls<TestContract, TestEvents>({
    ...common,
    host: '127.0.0.1',
    port: 0,
    tls,
    admits: () => true,
    ...options,
  });
  atEnd(() => server.close());
  return { server, port: server.port, seen, tickets };
}

/** A relay that can stop carrying bytes, as an unplugged cable does, or cut its connections, as a killed process does. */
export async function relayTo(connectOn: () => Socket, listenAt: string | 0): Promise<Relay> {
  let held = false;
  const sockets: Socket[] = [];
  const carry = (from: Socket, to: Socket) => {
    sockets.push(from);
    from.on('error', () => {});
    from.on('data', (data) => {
      if (!held) to.write(data);
    });
  };
  const relay = createServer((near) => {
    const far = connectOn();
    carry(near, far);
    carry(far, near);
  });
  await new Promise<void>((resolve) => {
    if (listenAt === 0) relay.listen(0, '127.0.0.1', resolve);
    else relay.listen(listenAt, resolve);
  });
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  atEnd(() => {
    cut();
    relay.close();
  });
  const address = relay.address();
  const hold = () => {
    held = true;
  };
  return { port: typeof address === 'object' && address ? address.port : 0, hold, cut };
}

export interface Relay {
  port: number;
  hold: () => void;
  cut: () => void;
}

/** The error that a promise fails with. */
export const failure = (promise: Promise<unknown>): Promise<GodwitError> =>
  promise.then(
    () => {
      throw new Error('it should have failed');
    },
    (error) => error,
  );

/** Polls until `ready` holds; fails before a test's own time is over. */
export async function until(ready: () => boolean): Promise<void> {
  const deadline = Date.now() + 100_000;
  while (!ready()) {
    if (Date.now() > deadline) throw new Error('it did not come true within 100 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
