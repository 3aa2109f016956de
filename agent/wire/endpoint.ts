/** Where an other side is to be found, and what both sides must agree on to meet there. */

import type { TLSSocket } from 'node:tls';
import type { GodwitError } from '../api/errors';
import { pathTooLong } from './errors';
import type { TlsIdentity } from './tls';

export interface UnixEndpoint {
  path: string;
}

export interface TlsEndpoint {
  address: string;
  port: number;
  tls: TlsIdentity;
  /** The node that must be there, by its certificate. */
  expectName: string;
  /** Its pinned key, where it has one. */
  expectKey?: string | undefined;
}

/** Where this side has no certificate yet, and it is for `trust` to say whether the other side's is good. */
export interface StrangeEndpoint {
  address: string;
  port: number;
  /** Why nothing is said to this side; null if it is the right one. */
  trust: (socket: TLSSocket) => GodwitError | null;
}

export type Endpoint = UnixEndpoint | TlsEndpoint | StrangeEndpoint;

/** Paths of the upgrade request: calls, and streams with their ticket behind it. */
export const RPC_PATH = '/rpc';
export const STREAM_PATH = '/stream/';

/** HTTP statuses of a refused upgrade (RFC 9110, 15.5): for a node that is no member, and for a ticket that is not good. */
export const NO_MEMBER = 403;
export const NO_TICKET = 410;

/** A stream that has ended on both sides may take as long as its slower reader needs. */
export const STREAM_CLOSE_TIMEOUT_MS = 2 ** 31 - 1;

/** Idle milliseconds before the kernel asks whether the other machine is still there (tcp(7), TCP_KEEPIDLE). */
export const KEEPALIVE_MS = 10_000;

/** sockaddr_un.sun_path has 108 bytes, the last of them zero (unix(7)). */
export const MAX_SOCKET_PATH_BYTES = 107;

/** @throws GodwitError `socket-path-too-long` */
export function checkSocketPath(path: string): void {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) throw pathTooLong(path, MAX_SOCKET_PATH_BYTES);
}
