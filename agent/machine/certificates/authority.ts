/** A cluster's own certificate authority, and the certificates of its nodes, made by openssl(1). */
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../command';

/** A cluster lives longer than any of its machines: its authority is made once. */
const AUTHORITY_DAYS = 36_500;

/** Of a node's certificate: a stolen key is of use for no longer. */
export const CERTIFICATE_DAYS = 30;

/** Paths of PEM files. */
export interface Authority {
  cert: string;
  key: string;
}

/** Paths of a node's own, and of its authority's certificate. */
export interface NodeFiles {
  ca: string;
  cert: string;
  key: string;
}

/** Where they are in its folder. */
export const authorityIn = (folder: string): Authority => ({
  cert: join(folder, 'ca.pem'),
  key: join(folder, 'ca.key'),
});

/** Those of a node whose folder this is. */
export const nodeFilesIn = (folder: string, ca = authorityIn(folder).cert): NodeFiles => ({
  ca,
  cert: join(folder, 'node.pem'),
  key: join(folder, 'node.key'),
});

/** @throws GodwitError `command-failed` */
export async function makeAuthority(folder: string, name: string): Promise<Authority> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const authority = authorityIn(folder);
  await makeKey(authority.key);
  const usage = [
    ...['-addext', 'basicConstraints=critical,CA:TRUE,pathlen:0'],
    ...['-addext', 'keyUsage=critical,keyCertSign'],
  ];
  // With a part that no node's certificate has: a cluster may have the name of a node.
  const subject = ['-subj', `/O=Godwit cluster/CN=${name}`, '-days', String(AUTHORITY_DAYS)];
  const files = ['-key', authority.key, '-out', authority.cert];
  await run('openssl', 'req', '-x509', '-new', ...files, ...subject, ...usage);
  await chmod(authority.cert, 0o600);
  return authority;
}

/**
 * A key in `folder`, and a request for a certificate whose common name is the node's.
 * @returns the request, in PEM (RFC 2986)
 * @throws GodwitError `command-failed`
 */
export async function requestCertificate(folder: string, name: string): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { key } = nodeFilesIn(folder);
  await makeKey(key);
  return requestWithKey(key, name);
}

/** A request with the key that is there. @throws GodwitError `command-failed` */
export const requestWithKey = (key: string, name: string): Promise<string> =>
  run('openssl', 'req', '-new', '-key', key, '-subj', `/CN=${name}`);

/**
 * What the authority makes of a request. Of the request it takes the name and the key; whose they are is for the caller
 * to check in the certificate.
 * @returns the certificate, in PEM
 * @throws GodwitError `command-failed`
 */
export async function signRequest(authority: Authority, request: string, days: number): Promise<string> {
  const folder = await mkdtemp(`${authority.key}.signing-`);
  try {
    const [csr, extensions] = [join(folder, 'csr'), join(folder, 'ext')];
    await writeFile(csr, request);
    // A node is both: it answers other nodes and asks them.
    await writeFile(
      extensions,
      'basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n',
    );
    const by = ['-CA', authority.cert, '-CAkey', authority.key];
    const what = ['-days', String(days), '-extfile', extensions];
    return await run('openssl', 'x509', '-req', '-in', csr, ...by, ...what);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A key and a certificate in `folder`. @throws GodwitError `command-failed` */
export async function issueCertificate(
  authority: Authority,
  folder: string,
  name: string,
  days = AUTHORITY_DAYS,
): Promise<NodeFiles> {
  const request = await requestCertificate(folder, name);
  const files = nodeFilesIn(folder, authority.cert);
  await writeFile(files.cert, await signRequest(authority, request, days), { mode: 0o600 });
  return files;
}

/** openssl(1) writes a private key with mode 0600. */
const makeKey = (file: string) =>
  run('openssl', 'genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', file);
