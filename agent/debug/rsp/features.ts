/** The features that client and debug server announce (GDB manual, `qSupported`), and which of them each may see. Pure. */

const SEPARATOR = ';';
/** A client names some twenty. */
const MAX_FEATURES = 128;
const FEATURE = /^([A-Za-z][A-Za-z0-9:._-]{0,63})(?:[+?-]|=[A-Za-z0-9:._,-]{0,255})$/;

/** Of a client: those that change what the server reports, and that work here. */
const CLIENTS = new Set([
  'multiprocess',
  'xmlRegisters',
  'swbreak',
  'hwbreak',
  'fork-events',
  'vfork-events',
  'exec-events',
  'vContSupported',
  'QThreadEvents',
  'no-resumed',
]);

/** Of the server, those of which the packets are passed on or answered (requests.ts). */
const SERVERS = new Set([
  ...CLIENTS,
  'PacketSize',
  'QPassSignals',
  'QProgramSignals',
  'QCatchSyscalls',
  'QStartNoAckMode',
  'ConditionalBreakpoints',
  'augmented-libraries-svr4-read',
  'binary-upload',
  ...['auxv', 'exec-file', 'features', 'libraries', 'libraries-svr4', 'osdata', 'siginfo', 'threads'].map(
    (object) => `qXfer:${object}:read`,
  ),
  'qXfer:siginfo:write',
]);

const nameOf = (feature: string): string => FEATURE.exec(feature)?.[1] ?? '';

const listOf = (packet: string): string[] => {
  const colon = packet.indexOf(':');
  return colon < 0 ? [] : packet.slice(colon + 1).split(SEPARATOR);
};

/** Is it a client's `qSupported`, of features only? */
export function isSupportedRequest(packet: string): boolean {
  if (packet === 'qSupported') return true;
  const features = listOf(packet);
  return (
    packet.startsWith('qSupported:') &&
    features.length <= MAX_FEATURES &&
    features.every((feature) => FEATURE.test(feature))
  );
}

/**
 * A client's `qSupported` as it is passed on to the server: what is known here, and `swbreak` and `hwbreak` always. Without
 * that gdbserver leaves the pc behind a breakpoint that was hit and expects the client to put it back, which gdb knows
 * and lldb does not.
 */
export function featuresForServer(request: string): string {
  const known = listOf(request).filter((feature) => CLIENTS.has(nameOf(feature)));
  const missing = ['swbreak', 'hwbreak'].filter((name) => !known.includes(`${name}+`));
  return `qSupported:${[...known, ...missing.map((name) => `${name}+`)].join(SEPARATOR)}`;
}

/** The server's answer to `qSupported` as it is passed on to the client. */
export const featuresForClient = (reply: string): string =>
  reply
    .split(SEPARATOR)
    .filter((feature) => SERVERS.has(nameOf(feature)))
    .join(SEPARATOR);

/** gdb's assumption for a server that does not announce it. */
const LEAST_PACKET = 400;

/** Bytes of the largest packet that the server takes, from its answer; at most `most`. */
export function packetSizeOf(reply: string, most: number): number {
  const announced = Number.parseInt(/(?:^|;)PacketSize=([0-9a-f]{1,8})(?:;|$)/i.exec(reply)?.[1] ?? '', 16);
  return Number.isNaN(announced) ? LEAST_PACKET : Math.min(announced, most);
}
