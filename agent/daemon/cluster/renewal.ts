/** A node's certificate is short-lived: it gets another one, for the same key, long before it ends. */
import { X509Certificate } from 'node:crypto';
import type { Log } from '../../log';
import { requestWithKey } from '../../machine/certificates/authority';
import { writeWhole } from '../../machine/whole-file';
import { keyOfCertificate, type TlsFiles, type TlsIdentity } from '../../wire/tls';

const DAY_MS = 24 * 3600 * 1000;
/** Of the thirty days that one is good: the authority may be away for that long. */
const RENEW_BEFORE_MS = 20 * DAY_MS;
const LOOK_EVERY_MS = 3_600_000;

export interface RenewalParts {
  name: string;
  files: TlsFiles;
  /** In use by this node's connections: what is put into it is shown from the next one on. */
  tls: TlsIdentity;
  /** Asks the authority. @param request in PEM */
  ask: (request: string) => Promise<string>;
  renewed: () => void;
  log: Log;
}

export const expiryOf = (certificate: Buffer | string): Date =>
  new Date(new X509Certificate(certificate).validTo);

export class Renewal {
  constructor(private readonly parts: RenewalParts) {}

  start(): void {
    setInterval(() => void this.look(), LOOK_EVERY_MS).unref();
    void this.look();
  }

  /** Never rejects: it is tried again. */
  async look(now = Date.now()): Promise<void> {
    const { name, files, tls, ask, renewed, log } = this.parts;
    const left = expiryOf(tls.cert).getTime() - now;
    if (left > RENEW_BEFORE_MS) return;
    try {
      const certificate = await ask(await requestWithKey(files.key, name));
      if (keyOfCertificate(certificate) !== keyOfCertificate(tls.cert))
        throw new Error('the new certificate has another key');
      await writeWhole(files.cert, certificate, 0o600);
      tls.cert = Buffer.from(certificate);
      renewed();
      log(`the certificate is renewed; it is good until ${expiryOf(certificate).toISOString()}`);
    } catch (error) {
      const days = Math.floor(left / DAY_MS);
      log.warn(`the certificate is good for ${days} days more, and no new one is to be had: ${error}`);
    }
  }
}
