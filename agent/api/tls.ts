/** The cluster's own authority is all the trust there is: who holds a certificate of it is a node, by the name in it. */
import { readFile } from 'node:fs/promises';
import type { PeerCertificate } from 'node:tls';
import { NodeName } from './model';
import { unreadableCertificate, wrongName } from './wire-errors';

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

/** Both sides speak TLS 1.3 and nothing older, and show a certificate. */
export const mutualTls = (identity: TlsIdentity) =>
  ({ ...identity, minVersion: 'TLSv1.3', requestCert: true, rejectUnauthorized: true }) as const;

/** The node that a certificate stands for; undefined if its common name is no node's name. */
export function nameOf(certificate: PeerCertificate | undefined): string | undefined {
  return NodeName.safeParse(certificate?.subject?.CN).data;
}

/** For `checkServerIdentity`: a node is known by its name, not by a host name or an address. */
export const expectNode = (name: string) => (_host: string, certificate: PeerCertificate) => {
  const found = nameOf(certificate);
  return found === name ? undefined : wrongName(name, found ?? 'no node');
};
