/** What a machine on the network tries that is no node of the cluster, with certificates of all kinds. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clusterFiles } from '../../agent/api/cluster-files';
import { Seal } from '../../agent/daemon/membership/datagram';
import { killAgent, restartAgent } from '../../agent/lab/lab';
import { nodeNamespace } from '../../agent/lab/namespaces';
import { authorityIn, issueCertificate, makeAuthority } from '../../agent/machine/certificates/authority';
import { openStream } from '../../agent/wire/client';
import type { TlsFiles } from '../../agent/wire/tls';
import { outcome } from '../support/outcome';
import { Intruder, identity } from './intruder';
import { Stage } from './stage';

const folder = mkdtempSync(join(tmpdir(), 'godwit-outsider-'));
let stage: Stage;
/** On the network that node3 is on. */
let outsider: Intruder;
beforeAll(async () => {
  stage = await Stage.up('outsider');
  outsider = new Intruder(stage, 'node3');
});
afterAll(async () => {
  outsider?.close();
  await stage?.down();
  rmSync(folder, { recursive: true, force: true });
});

const clusters = () => authorityIn(clusterFiles(stage.paths('node1').state).authority);
const issue = (place: string, name: string, by = clusters()) =>
  issueCertificate(by, join(folder, place), name);

/** As what each certificate's holder is turned away, calling and opening streams. */
async function turnedAway(files: TlsFiles, name: string): Promise<string[]> {
  const tls = { ...identity(files), ca: readFileSync(clusters().cert) };
  const calls = await outcome(outsider.dial('node1', name, tls));
  const streams = await outcome(openStream(await outsider.endpoint('node1', tls), '0'.repeat(32)));
  return [calls, streams];
}

/** Every datagram to a node's port of Godwit's, in hexadecimal, one a line; until its standard input ends. */
const SNIFF = `
import socket, sys, threading
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
threading.Thread(target=lambda: (sys.stdin.read(), __import__('os')._exit(0)), daemon=True).start()
while True:
    packet = raw.recv(65535)
    ip = packet[14:]
    if ip[9] != 17: continue
    udp = ip[(ip[0] & 15) * 4:]
    if int.from_bytes(udp[2:4], 'big') == 7420: print(udp[8:].hex(), flush=True)
`;
/** Sends lines of hexadecimal to an address. */
const SEND = `
import socket, sys
to = (sys.argv[1], 7420)
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for line in sys.stdin: out.sendto(bytes.fromhex(line.strip()), to)
`;

describe('a datagram', () => {
  const inNode = (node: string) => ['nsenter', `--net=${nodeNamespace(stage.lab, node)}`] as const;
  const send = (lines: string[], to: string) => {
    const [command, ...place] = inNode('node3');
    const { host } = stage.configOf(to).listen;
    execFileSync(command, [...place, 'python3', '-c', SEND, host], { input: lines.join('\n') });
  };
  const stateOf = async (node: string) => {
    const nodes = await stage.root.nodes();
    return nodes.find(({ name }) => name === node)!.state;
  };
  const isUp = () => stage.until('all up', async () => (await stateOf('node2')) === 'up');

  it('that is signed by a key of no member’s is not heard', async () => {
    await isUp();
    const files = await issue('datagrams', 'node2');
    const seal = Seal.of(readFileSync(files.key))!;
    const lies = [1, 2, 3].map((count) =>
      seal
        .seal({
          ...{ to: 'node1', life: 1, count, word: { type: 'ping', nonce: 1 }, incarnation: 0, roster: 0 },
          ...{ statements: [['node3', 'dead', 0, 'node2']], loads: [['node3', 0, 4_096, 1, 0, 1, 1, 0]] },
        })!
        .toString('hex'),
    );
    // Some when what is known is old enough for others to be taken for newer.
    for (let round = 0; round < 8; round++) {
      send(lies, 'node1');
      const nodes = await stage.root.nodes();
      const { cpus, state } = nodes.find(({ name }) => name === 'node3')!;
      expect([cpus < 4_096, state === 'down']).toEqual([true, false]);
    }
  });

  it('that was recorded is not heard again: a node that is down stays so', async () => {
    await isUp();
    const [command, ...place] = inNode('node1');
    const sniffer = spawn(command, [...place, 'python3', '-c', SNIFF], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let heard = '';
    sniffer.stdout.on('data', (chunk: Buffer) => {
      heard += chunk.toString();
    });
    await stage.until('some datagrams', async () => heard.split('\n').length > 30);
    sniffer.stdin.end();
    await new Promise((resolve) => sniffer.once('close', resolve));
    await killAgent(stage.lab, 'node2');
    try {
      await stage.until('node2 down', async () => (await stateOf('node2')) === 'down');
      const recorded = heard.split('\n').filter(Boolean);
      for (let round = 0; round < 20; round++) {
        send(recorded, 'node1');
        expect(await stateOf('node2')).toBe('down');
      }
    } finally {
      await restartAgent(stage.lab, 'node2');
    }
    await isUp();
  });
});

describe('a peer with a certificate', () => {
  it('of an authority of its own is refused by all', async () => {
    const own = await makeAuthority(join(folder, 'own'), 'own');
    expect(await turnedAway(await issue('own2', 'node2', own), 'node2')).toEqual([
      'certificate-refused',
      'certificate-refused',
    ]);
  });

  it('of the cluster’s authority that has expired is refused by all', async () => {
    const files = await issue('expired', 'node2');
    const { cert, key } = clusters();
    const request = join(folder, 'expired.csr');
    const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
    openssl('req', '-new', '-key', files.key, '-subj', '/CN=node2', '-out', request);
    openssl('x509', '-req', '-in', request, '-CA', cert, '-CAkey', key, '-days', '-1', '-out', files.cert);
    expect(await turnedAway(files, 'node2')).toEqual(['certificate-refused', 'certificate-refused']);
  });

  it.each([
    ['for a name that is no member’s', 'node9', /node9 is none of the nodes/],
    ['for a member’s name, with another key', 'node2', /certificate for node2 has the key .*is pinned/],
    ['for the name of the node that is asked', 'node1', /node1 is none of the nodes/],
  ])('of the cluster’s authority, %s, is told so and gets no further', async (_what, name, logged) => {
    expect(await turnedAway(await issue(`as-${name}`, name), name)).toEqual(['not-a-member', 'not-a-member']);
    expect(stage.log('node1')).toMatch(logged);
  });

  it('of the cluster’s authority that names no node, or several, gets no further', async () => {
    const files = await issue('two', 'node2');
    const { cert, key } = clusters();
    const request = join(folder, 'two.csr');
    const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
    for (const subject of ['/CN=node9/CN=node2', '/O=node2', '/CN=node2.cluster']) {
      openssl('req', '-new', '-key', files.key, '-subj', subject, '-out', request);
      openssl('x509', '-req', '-in', request, '-CA', cert, '-CAkey', key, '-days', '1', '-out', files.cert);
      expect(await turnedAway(files, 'node2')).toEqual(['not-a-member', 'not-a-member']);
    }
  });

  it('fills no log by trying again and again', async () => {
    const files = await issue('again', 'node8');
    for (let tries = 0; tries < 20; tries++) await turnedAway(files, 'node8');
    expect(stage.log('node1').match(/node8 is none of the nodes/g)).toHaveLength(1);
  });

  it('leaves the cluster as it was', async () => {
    const { id } = await stage.ann.run(['sleep', '1000'], { on: 'node2' });
    expect((await stage.ann.migrate(id, 'node3')).to).toBe('node3');
    await stage.ann.kill(id);
    expect(await stage.ann.wait(id)).toMatchObject({ signal: 'SIGKILL' });
  });
});
