/** The network sockets that the kernel lists (proc_pid_net(5)). */
import { readFile } from 'node:fs/promises';

/** One row of /proc/PID/net/tcp and its like (proc_pid_net(5)). */
export interface InetSocket {
  protocol: 'tcp' | 'udp' | 'icmp';
  /** IPv4 in dots, also where IPv6 carries it; IPv6 as eight groups in full. */
  local: string;
  port: number;
  remote: string;
  /** 0 where it is not connected. */
  remotePort: number;
  /** As include/net/tcp_states.h numbers it. */
  state: number;
  /** 0 for one that no process has any more. */
  inode: number;
  /** Bytes that wait to be read; of one that listens, connections that wait to be accepted. */
  waiting: number;
}

export const TCP_ESTABLISHED = 1;
const TCP_CLOSE_WAIT = 8;
const TCP_LISTEN = 10;
export const listens = ({ protocol, state }: InetSocket) => protocol === 'tcp' && state === TCP_LISTEN;
const ANY = ['0.0.0.0', '0:0:0:0:0:0:0:0'];
export const isAny = (ip: string) => ANY.includes(ip);
export const isLoopback = (ip: string) => ip.startsWith('127.') || ip === '0:0:0:0:0:0:0:1';
export const ipText = (ip: string) => (ip.includes(':') ? `[${ip}]` : ip);

/** The network sockets in the network namespace of a process; none of one that has gone. */
export async function inetSockets(pid: number | 'self'): Promise<InetSocket[]> {
  const tables = (['tcp', 'udp', 'icmp'] as const).flatMap((protocol) =>
    [protocol, `${protocol}6`].map(async (table) =>
      parseSockets(await readFile(`/proc/${pid}/net/${table}`, 'utf8').catch(() => ''), protocol),
    ),
  );
  return (await Promise.all(tables)).flat();
}

export function parseSockets(table: string, protocol: InetSocket['protocol']): InetSocket[] {
  return table.split('\n').flatMap((row) => {
    const fields = row.trim().split(/\s+/);
    const [local, remote] = [fields[1], fields[2]].map((text) => parseAddress(text ?? ''));
    if (!local || !remote) return [];
    const state = Number.parseInt(fields[3]!, 16);
    const ends = { local: local.ip, port: local.port, remote: remote.ip, remotePort: remote.port };
    const waiting = Number.parseInt(fields[4]?.split(':')[1] ?? '0', 16);
    return [{ protocol, ...ends, state, inode: Number(fields[9]), waiting }];
  });
}

/** `0100007F:1F90`: words of the address in the machine's byte order, the port as a number. */
function parseAddress(text: string): { ip: string; port: number } | null {
  const [, words, port] = /^((?:[0-9A-F]{8})+):([0-9A-F]{4})$/.exec(text) ?? [];
  if (!words || !port) return null;
  const bytes = Buffer.from(words, 'hex').swap32();
  return { ip: bytes.length === 4 ? dotted(bytes) : grouped(bytes), port: Number.parseInt(port, 16) };
}

const dotted = (bytes: Buffer) => [...bytes].join('.');

function grouped(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(2 * at));
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  return isMapped ? dotted(bytes.subarray(12)) : groups.map((group) => group.toString(16)).join(':');
}

/** CRIU can't save a connection that no process has accepted. */
export const waitsForAccept = (socket: InetSocket): boolean => listens(socket) && socket.waiting > 0;

/** The connections that no process has yet: by both their ends, and the port that they were made to. */
export const unaccepted = (sockets: readonly InetSocket[]): { name: string; port: number }[] =>
  sockets
    .filter(
      ({ protocol, inode, state }) =>
        protocol === 'tcp' && inode === 0 && (state === TCP_ESTABLISHED || state === TCP_CLOSE_WAIT),
    )
    .map(({ local, port, remote, remotePort }) => ({
      name: `${local} ${port} ${remote} ${remotePort}`,
      port,
    }));
