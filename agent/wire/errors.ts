/** What can go wrong on the wire itself. */
import { badMessage, GodwitError } from '../api/errors';

export const connectionLost = (why: string) =>
  new GodwitError({ code: 'connection-lost', message: `the connection was lost: ${why}` });

export const callTimedOut = (method: string, ms: number) =>
  new GodwitError({ code: 'timeout', message: `${method} was not answered within ${ms} ms` });

export const callCancelled = (method: string) =>
  new GodwitError({ code: 'cancelled', message: `${method} was cancelled` });

const WAIT_FOR_ANSWERS = 'wait for some of the answers first';

export const tooManyCalls = (limit: number) =>
  new GodwitError({
    code: 'too-many-calls',
    message: `you have ${limit} calls in flight, and more are not taken`,
    fix: WAIT_FOR_ANSWERS,
  });

export const tooManyCallBytes = (limit: number) =>
  new GodwitError({
    code: 'too-many-calls',
    message: `your calls in flight would take more than ${limit} bytes`,
    fix: WAIT_FOR_ANSWERS,
  });

export const tooManyConnections = () =>
  new GodwitError({
    code: 'too-many-connections',
    message: 'the agent has as many connections with you as it takes',
    fix: 'end some of the commands that wait, or have `perUser.connections` raised in its configuration',
  });

export const idInUse = (id: number) => badMessage('the message', `the id ${id} is in use`);

export const messageTooLarge = (what: string, bytes: number, limit: number) =>
  new GodwitError({
    code: 'message-too-large',
    message: `${what} takes ${bytes} bytes, and a message may have ${limit}`,
  });

export const noSuchMethod = (method: string) =>
  new GodwitError({
    code: 'no-such-method',
    message: `the other side knows no method "${method}"`,
    fix: 'install the same version of Godwit on both',
  });

export const slowReader = (bytes: number) =>
  new GodwitError({ code: 'slow-reader', message: `the other side left ${bytes} bytes unread` });

export const silent = (ms: number) =>
  new GodwitError({ code: 'silent', message: `the other side sent nothing for ${ms} ms` });

export const noHello = (ms: number) =>
  new GodwitError({ code: 'no-hello', message: `the other side gave no hello within ${ms} ms` });

export const wrongName = (expected: string, found: string) =>
  new GodwitError({
    code: 'wrong-name',
    message: `expected node ${expected} there, but it is ${found}`,
    fix: "correct the node's address in the cluster's configuration",
  });

/** A name and a key, as a certificate has them. */
interface Holder {
  name: string;
  key: string;
}

export const wrongKey = ({ name, key }: Holder, pinned: string) =>
  new GodwitError({
    code: 'wrong-key',
    message: `the certificate for ${name} has the key ${key}, and ${pinned} is pinned`,
    fix: `if it was renewed with another key, correct the key of ${name} under "members" and send the agent a SIGHUP`,
  });

export const notAMember = (name: string) =>
  new GodwitError({
    code: 'not-a-member',
    message: `${name} is none of the nodes that this one speaks with`,
    fix: `name it under "members" in the configuration and send the agent a SIGHUP`,
  });

/** The error of a node that another one does not admit. */
export const notAdmitted = (node: string, self: Holder | null) =>
  new GodwitError({
    code: 'not-a-member',
    message: `${node} turns this node away: its list of members has no ${self?.name ?? 'such node'} with this key`,
    fix: `name it under "members" in the configuration of ${node}, with the key ${self?.key}, and send its agent a SIGHUP`,
  });

export const certificateRefused = (who: string, why: string) =>
  new GodwitError({
    code: 'certificate-refused',
    message: `no trusted connection with ${who}: ${why}`,
    fix: "both certificates must be valid now and be signed by the cluster's own authority",
  });

export const unreadableCertificate = (file: string, why: string) =>
  new GodwitError({
    code: 'unreadable-certificate',
    message: `${file} can't be used: ${why}`,
    fix: 'check the paths under "tls" in the configuration',
  });

export const ticketRefused = () =>
  new GodwitError({
    code: 'ticket-refused',
    message: 'the ticket for this stream is unknown, used or expired',
    fix: 'ask again for the stream',
  });

export const tooManyTickets = (limit: number) =>
  new GodwitError({
    code: 'too-many-tickets',
    message: `${limit} streams of yours wait to be opened already, and more may not`,
    fix: 'open them, or wait some seconds for them to be forgotten',
  });

export const streamCut = (why: string) =>
  new GodwitError({ code: 'stream-cut', message: `the stream was cut: ${why}` });

export const addressTaken = (address: string) =>
  new GodwitError({
    code: 'address-taken',
    message: `${address} is in use by another process`,
    fix: 'end that process, or choose another address',
  });

export const cannotListen = (address: string, why: string) =>
  new GodwitError({ code: 'cannot-listen', message: `can't listen at ${address}: ${why}` });

export const pathTooLong = (path: string, limit: number) =>
  new GodwitError({
    code: 'socket-path-too-long',
    message: `${path} is too long for a Unix socket, which may have ${limit} bytes`,
    fix: 'choose a shorter folder or name',
  });
