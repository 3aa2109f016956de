/** A certificate authority of the lab's own, and one certificate a node, made by openssl(1). */
import { execFile } from 'node:child_process';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TlsFiles } from '../wire/tls';
import { commandFailed } from './errors';

const run = promisify(execFile);

/** Ten years exceeds any lab's lifetime. */
const VALID_DAYS = 3650;
const OPENSSL_TIMEOUT_MS = 60_000;

export interface Authority {
  cert: string;
  key: string;
}

/** Where they are in its folder. */
export const authorityIn = (folder: string): Authority => ({
  cert: join(folder, 'ca.pem'),
  key: join(folder, 'ca.key'),
});

/** Those of a node whose folder this is. */
export const certificateFiles = (authority: Authority, folder: string): TlsFiles => ({
  ca: authority.cert,
  cert: join(folder, 'node.pem'),
  key: join(folder, 'node.key'),
});

/** @throws GodwitError `command-failed` */
export async function makeAuthority(folder: string, name: string): Promise<Authority> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const authority = authorityIn(folder);
  await makeKey(authority.key);
  const usage = [
    '-addext',
    'basicConstraints=critical,CA:TRUE,pathlen:0',
    '-addext',
    'keyUsage=critical,keyCertSign',
  ];
  // With a part that no node's certificate has: a lab may have the name of a node.
  const subject = ['-subj', `/O=Godwit lab/CN=${name}`, '-days', String(VALID_DAYS)];
  await openssl([
    'req',
    '-x509',
    '-new',
    '-key',
    authority.key,
    '-out',
    authority.cert,
    ...subject,
    ...usage,
  ]);
  await chmod(authority.cert, 0o600);
  return authority;
}

/**
 * A key and a certificate in `folder` whose common name is the node's.
 * @throws GodwitError `command-failed`
 */
export async function issueCertificate(
  authority: Authority,
  folder: string,
  name: string,
): Promise<TlsFiles> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const files = certificateFiles(authority, folder);
  const request = join(folder, 'node.csr');
  const extensions = join(folder, 'node.ext');
  await makeKey(files.key);
  await openssl(['req', '-new', '-key', files.key, '-subj', `/CN=${name}`, '-out', request]);
  // A node is both: it answers other nodes and asks them.
  await writeFile(extensions, 'basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n');
  const signing = [
    '-CA',
    authority.cert,
    '-CAkey',
    authority.key,
    '-days',
    String(VALID_DAYS),
    '-extfile',
    extensions,
  ];
  await openssl(['x509', '-req', '-in', request, '-out', files.cert, ...signing]);
  await chmod(files.cert, 0o600);
  await Promise.all([rm(request), rm(extensions)]);
  return files;
}

/** openssl(1) writes a private key with mode 0600. */
const makeKey = (file: string) =>
  openssl(['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', file]);

async function openssl(args: string[]): Promise<void> {
  try {
    await run('openssl', args, { timeout: OPENSSL_TIMEOUT_MS });
  } catch (error) {
    throw commandFailed(`openssl ${args[0]}`, error);
  }
}
