/**
 * A certificate of the cluster's own authority proves who a peer is: the node that it names, and its key. Whether
 * that node is a member is decided by the list of members.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import { NodeName } from '../api/model';
import { SHA256 } from '../api/pinned-key';
import { unreadableCertificate, wrongKey, wrongName } from './errors';

/** Paths of PEM files. */
export interface TlsFiles {
  ca: string;
  cert: string;
  key: string;
}

/** Their contents. */
export interface TlsIdentity {
  ca: Buffer;
  cert: Buffer;
  key: Buffer;
}

/** @throws GodwitError `unreadable-certificate` */
export async function loadTls({ ca, cert, key }: TlsFiles): Promise<TlsIdentity> {
  const read = (file: string) =>
    readFile(file).catch((error: Error) => {
      throw unreadableCertificate(file, error.message);
    });
  return { ca: await read(ca), cert: await read(cert), key: await read(key) };
}

/** Both sides use TLS 1.3 and nothing older, and show a certificate. */
export const mutualTls = (identity: TlsIdentity) =>
  ({ ...identity, minVersion: 'TLSv1.3', requestCert: true, rejectUnauthorized: true }) as const;

/** Of a server whose clients have no certificate yet. */
export const oneSidedTls = ({ cert, key }: Pick<TlsIdentity, 'cert' | 'key'>) =>
  ({ cert, key, minVersion: 'TLSv1.3' }) as const;

/** Who a certificate is for. */
export interface Certified {
  name: string;
  /** As of `PinnedKey` (api/pinned-key.ts). */
  key: string;
}

/** Null if its common name is no node's name. @param certificate PEM or DER */
export function readCertificate(certificate: Buffer): Certified | null {
  return certifiedBy(new X509Certificate(certificate));
}

/** Who is at the other end of a connection; null if its certificate names no node. */
export function certifiedAt(socket: TLSSocket): Certified | null {
  const certificate = socket.getPeerX509Certificate();
  return certificate ? certifiedBy(certificate) : null;
}

function certifiedBy(certificate: X509Certificate): Certified | null {
  const name = NodeName.safeParse(certificate.toLegacyObject().subject?.CN).data;
  return name === undefined ? null : { name, key: keyOf(certificate) };
}

function keyOf(certificate: X509Certificate): string {
  const info = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return SHA256 + createHash('sha256').update(info).digest('hex');
}

/** The pinned key of any certificate, an authority's too. @param certificate PEM or DER */
export const keyOfCertificate = (certificate: Buffer | string): string =>
  keyOf(new X509Certificate(certificate));

/**
 * Why this is not the server of an authority with this key: it shows its own certificate, and the authority's, by which
 * its own is signed. Null if it is.
 * @param authority null: any
 */
export function strangeServer(socket: TLSSocket, authority: string | null): string | null {
  const own = socket.getPeerX509Certificate();
  const issuer = own?.issuerCertificate;
  if (!own || !issuer) return 'it does not show the certificate of its authority';
  if (authority !== null && keyOf(issuer) !== authority) return 'it is of another cluster';
  if (!own.verify(issuer.publicKey)) return 'its certificate is not signed by its authority';
  const now = Date.now();
  if (now < Date.parse(own.validFrom) || now > Date.parse(own.validTo))
    return `its certificate is valid from ${own.validFrom} to ${own.validTo}, and here it is ${new Date().toUTCString()}`;
  return null;
}

/** Only the two sides of a connection have it (RFC 5705). */
export const bindingOf = (socket: TLSSocket): Buffer =>
  socket.exportKeyingMaterial(32, 'EXPORTER-godwit-join', Buffer.alloc(0));

/**
 * For `checkServerIdentity`: a node is known by its name, not by a host name or an address, and by its key where one is
 * pinned.
 */
export const expectNode =
  (name: string, key: string | undefined) => (_host: string, certificate: PeerCertificate) => {
    const found = readCertificate(certificate.raw);
    if (found?.name !== name) return wrongName(name, found?.name ?? 'no node');
    return key === undefined || found.key === key ? undefined : wrongKey(found, key);
  };
