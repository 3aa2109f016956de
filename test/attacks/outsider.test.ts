/** What a machine on the network tries that is no node of the cluster, with certificates of all kinds. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { authorityFolder } from '../../agent/lab/description';
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

const clusters = () => authorityIn(authorityFolder(stage.lab));
const issue = (place: string, name: string, by = clusters()) =>
  issueCertificate(by, join(folder, place), name);

/** As what each certificate's holder is turned away, calling and opening streams. */
async function turnedAway(files: TlsFiles, name: string): Promise<string[]> {
  const tls = { ...identity(files), ca: readFileSync(clusters().cert) };
  const calls = await outcome(outsider.dial('node1', name, tls));
  const streams = await outcome(openStream(await outsider.endpoint('node1', tls), '0'.repeat(32)));
  return [calls, streams];
}

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
