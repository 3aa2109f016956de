/** How the key of a node's certificate is written down. */
import { z } from 'zod';

/** Before a digest of that kind. */
export const SHA256 = 'sha256:';

/**
 * The SHA-256 of a certificate's SubjectPublicKeyInfo (RFC 5280, 4.1.2.7) as people write it down: 64 hexadecimal digits
 * after `sha256:`, or base64. Comes out in hexadecimal. A certificate that is renewed with its old key has the same.
 */
export const PinnedKey = z
  .string()
  .regex(/^(sha256:)?([0-9a-fA-F]{64}|[A-Za-z0-9+/]{43}=)$/, 'a key is like sha256:HEX, or in base64')
  .transform((text) => {
    const digest = text.replace(SHA256, '');
    return (
      SHA256 + (digest.length === 64 ? digest.toLowerCase() : Buffer.from(digest, 'base64').toString('hex'))
    );
  });
