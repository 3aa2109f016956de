import { connect as connectSocket } from 'node:net';
import { connect as connectSecurely } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { connectTls, openStream } from '../../agent/wire/client';
import { type Certified, loadTls, mutualTls, readCertificate, type TlsIdentity } from '../../agent/wire/tls';
import {
  atEnd,
  type Certificates,
  contract,
  events,
  failure,
  folder,
  makeCertificates,
  relayTo,
  type TestContract,
  type TestEvents,
  tlsServer,
  until,
} from './wire-fixture';

let certificates: Certificates;
beforeAll(async () => {
  certificates = await makeCertificates();
});

interface Who {
  tls?: TlsIdentity;
  name?: string;
  expectName?: string;
  address?: string;
}

async function node2(port: number, who: Who = {}) {
  const { tls = certificates.node2, name = 'node2', expectName = 'node1', address = '127.0.0.1' } = who;
  const remote = await connectTls<TestContract, TestEvents>(
    { address, port, tls, expectName },
    { name, kind: 'agent', contract, events },
  );
  atEnd(() => remote.close());
  return remote;
}

async function stillServes(port: number) {
  expect(await (await node2(port)).call('add', { a: 20, b: 22 })).toEqual({ sum: 42 });
}

describe('between nodes', () => {
  it('the certificate says who calls', async () => {
    const { port } = await tlsServer(certificates.node1);
    const remote = await node2(port);
    expect(remote.name).toBe('node1');
    expect(await remote.call('whoami', {})).toEqual({ name: 'node2', kind: 'agent' });
  });

  it('a name that is not the certificate’s is refused', async () => {
    const { port } = await tlsServer(certificates.node1);
    const remote = await node2(port, { name: 'node9' });
    expect((await remote.closed).message).toContain('wrong-name');
    expect((await failure(remote.call('add', { a: 1, b: 1 }))).code).toBe('connection-lost');
    await stillServes(port);
  });

  it('a peer without a certificate does not get in', async () => {
    const { port, server } = await tlsServer(certificates.node1);
    const { ca } = certificates.node2;
    const error = await new Promise((resolve) => {
      const socket = connectSecurely({ port, host: '127.0.0.1', ca, checkServerIdentity: () => undefined });
      socket.on('error', resolve);
      socket.on('data', (data) => resolve(data.toString()));
      socket.write('GET /rpc HTTP/1.1\r\nhost: x\r\n\r\n');
    });
    expect(error).toMatchObject({ code: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED' });
    expect(server.peers.size).toBe(0);
    await stillServes(port);
  });

  it('nor one with a certificate of another authority', async () => {
    const { port, server } = await tlsServer(certificates.node1);
    const error = await failure(node2(port, { tls: certificates.stranger }));
    expect(error.code).toBe('certificate-refused');
    expect(server.peers.size).toBe(0);
    await stillServes(port);
  });

  it('nor one with an expired certificate', async () => {
    const { port } = await tlsServer(certificates.node1);
    const error = await failure(node2(port, { tls: certificates.expired, name: 'node3' }));
    expect(error.code).toBe('certificate-refused');
    await stillServes(port);
  });

  it('a peer without a certificate of the cluster opens no stream', async () => {
    const { port, tickets } = await tlsServer(certificates.node1);
    const ticket = tickets.issue((stream) => void stream.end('secret'));
    const endpoint = { address: '127.0.0.1', port, tls: certificates.stranger, expectName: 'node1' };
    expect((await failure(openStream(endpoint, ticket))).code).toBe('certificate-refused');
    // It was not used up by that.
    const stream = await openStream({ ...endpoint, tls: certificates.node2 }, ticket);
    expect(Buffer.concat(await stream.toArray()).toString()).toBe('secret');
    stream.end();
  });

  it('a stream’s handler is told who opened it', async () => {
    const { port, tickets } = await tlsServer(certificates.node1);
    const ticket = tickets.issue((stream, { name }) => void stream.end(name));
    const remote = await node2(port);
    const stream = await remote.openStream(ticket);
    expect(Buffer.concat(await stream.toArray()).toString()).toBe('node2');
    stream.end();
  });

  it('a server of another authority, or with an expired certificate, is not spoken to', async () => {
    const stranger = await tlsServer(certificates.stranger);
    expect(await failure(node2(stranger.port, { expectName: 'node2' }))).toMatchObject({
      code: 'certificate-refused',
      message: expect.stringContaining('node2'),
    });
    const expired = await tlsServer(certificates.expired);
    expect((await failure(node2(expired.port, { expectName: 'node3' }))).message).toContain('expired');
  });

  it('another node than the expected one is not spoken to', async () => {
    const { port, server } = await tlsServer(certificates.node1);
    expect(await failure(node2(port, { expectName: 'node7' }))).toMatchObject({
      code: 'wrong-name',
      message: 'expected node node7 there, but it is node1',
    });
    expect(server.peers.size).toBe(0);
    await stillServes(port);
  });

  it('who is not admitted is told so, calling and opening streams, and the ticket stays good', async () => {
    const asked: Certified[] = [];
    let admitted = false;
    const admits = (who: Certified) => asked.push(who) > 0 && admitted;
    const { port, server, tickets } = await tlsServer(certificates.node1, { admits });
    const own = readCertificate(certificates.node2.cert)!;
    expect(await failure(node2(port))).toMatchObject({
      code: 'not-a-member',
      message: expect.stringContaining('its list of members has no node2 with this key'),
      fix: expect.stringContaining(own.key),
    });
    const ticket = tickets.issue((stream) => void stream.end('secret'), { by: 'node2' });
    const endpoint = { address: '127.0.0.1', port, tls: certificates.node2, expectName: 'node1' };
    expect((await failure(openStream(endpoint, ticket))).code).toBe('not-a-member');
    expect(asked).toEqual([own, own]);
    expect(server.peers.size).toBe(0);
    admitted = true;
    (await openStream(endpoint, ticket)).destroy();
    await stillServes(port);
  });

  it('who is no longer admitted is cut off at once, calls and streams', async () => {
    let admitted = true;
    const { port, server, seen, tickets } = await tlsServer(certificates.node1, { admits: () => admitted });
    const remote = await node2(port);
    const call = failure(remote.call('forever', {}));
    await until(() => seen.begun === 1);
    const stream = await remote.openStream(tickets.issue((far) => void far.resume()));
    const cut = new Promise((resolve) => stream.once('error', resolve));
    server.review();
    expect(await remote.call('add', { a: 1, b: 1 })).toEqual({ sum: 2 });
    admitted = false;
    server.review();
    expect((await call).code).toBe('connection-lost');
    expect(await cut).toMatchObject({ code: 'stream-cut' });
    await until(() => seen.aborted === 1 && server.peers.size === 0);
  });

  it('a server with another key than the pinned one is not spoken to', async () => {
    const { port, server } = await tlsServer(certificates.node1);
    const endpoint = { address: '127.0.0.1', port, tls: certificates.node2, expectName: 'node1' };
    const options = { name: 'node2', kind: 'agent', contract } as const;
    const expectKey = readCertificate(certificates.node2.cert)!.key;
    const error = await failure(connectTls({ ...endpoint, expectKey }, options));
    expect(error).toMatchObject({ code: 'wrong-key', message: expect.stringContaining(expectKey) });
    expect(server.peers.size).toBe(0);
    const right = await connectTls(
      { ...endpoint, expectKey: readCertificate(certificates.node1.cert)!.key },
      options,
    );
    right.close();
  });

  it('a ticket is good for the node alone that it was issued for', async () => {
    const { port, tickets } = await tlsServer(certificates.node1);
    const ticket = tickets.issue((stream) => void stream.end('secret'), { by: 'node3' });
    const endpoint = { address: '127.0.0.1', port, tls: certificates.node2, expectName: 'node1' };
    expect((await failure(openStream(endpoint, ticket))).code).toBe('ticket-refused');
    expect(tickets.isGood(ticket, { name: 'node3' })).toBe(true);
  });

  it('TLS 1.2 is not spoken', async () => {
    const { port } = await tlsServer(certificates.node1);
    const error = await new Promise((resolve) => {
      const options = {
        ...mutualTls(certificates.node2),
        minVersion: 'TLSv1.2',
        maxVersion: 'TLSv1.2',
      } as const;
      connectSecurely({ port, host: '127.0.0.1', ...options, checkServerIdentity: () => undefined })
        .on('error', resolve)
        .on('secureConnect', () => resolve('connected'));
    });
    expect(String(error)).toMatch(/protocol version/);
    await stillServes(port);
  });

  it('plain HTTP, garbage and connections that say nothing end', { timeout: 60_000 }, async () => {
    const { port } = await tlsServer(certificates.node1);
    const ends = ['', 'GET / HTTP/1.1\r\n\r\n', '\x16\x03\x01'].map(
      (text) =>
        new Promise((resolve) => {
          const socket = connectSocket(port, '127.0.0.1');
          socket.on('data', () => {});
          socket.on('error', () => {});
          socket.once('close', () => resolve(true));
          socket.write(text, 'latin1');
        }),
    );
    await stillServes(port);
    expect(await Promise.all(ends)).toEqual([true, true, true]);
    await stillServes(port);
  });

  it('a peer that has fallen silent is given up, on both sides', async () => {
    const heartbeat = { everyMs: 30, misses: 3 };
    const { port, server } = await tlsServer(certificates.node1, { heartbeat });
    const relay = await relayTo(() => connectSocket(port, '127.0.0.1'), 0);
    const remote = await connectTls<TestContract, TestEvents>(
      { address: '127.0.0.1', port: relay.port, tls: certificates.node2, expectName: 'node1' },
      { name: 'node2', kind: 'agent', contract, heartbeat },
    );
    const call = failure(remote.call('forever', {}));
    await until(() => server.peers.size === 1);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(server.peers.size).toBe(1);
    relay.hold();
    const [peer] = server.peers;
    expect(await peer!.closed).toMatchObject({ code: 'silent' });
    expect(await remote.closed).toMatchObject({ code: 'silent' });
    expect((await call).code).toBe('connection-lost');
  });

  it('the bound on connections holds, and gives way again', async () => {
    const { port } = await tlsServer(certificates.node1, { maxConnections: 2 });
    const [one] = [await node2(port), await node2(port)];
    expect((await failure(node2(port))).code).toBe('too-many-connections');
    one.close();
    await one.closed;
    await stillServes(port);
  });

  it('a port that is taken, or an address that is not this machine’s, is a named error', async () => {
    const { port } = await tlsServer(certificates.node1);
    expect(await failure(tlsServer(certificates.node1, { port }))).toMatchObject({ code: 'address-taken' });
    expect(await failure(tlsServer(certificates.node1, { host: '192.0.2.250' }))).toMatchObject({
      code: 'cannot-listen',
    });
    await stillServes(port);
  });

  it('a port without a listener is a named error', async () => {
    const { port, server } = await tlsServer(certificates.node1);
    await server.close();
    expect(await failure(node2(port))).toMatchObject({ code: 'node-unreachable' });
  });

  it('certificates that can’t be read or used are named errors', async () => {
    const files = { ca: `${folder}/none`, cert: `${folder}/none`, key: `${folder}/none` };
    expect(await failure(loadTls(files))).toMatchObject({ code: 'unreadable-certificate' });
    const broken = { ...certificates.node1, cert: Buffer.from('no certificate') };
    expect(await failure(tlsServer(broken))).toMatchObject({ code: 'unreadable-certificate' });
    const { port } = await tlsServer(certificates.node1);
    expect(await failure(node2(port, { tls: broken }))).toMatchObject({ code: 'unreadable-certificate' });
  });
});
