/** What Godwit is measured against: gdbserver on a Unix socket, the same gdb on it, and cdt-gdb-adapter. */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { launch } from '../../support/processes';

/** gdbserver listens at no Unix socket itself, but it can be given one as its standard input and output. */
const LISTENER = `
import socket, subprocess, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
connection, _ = listener.accept()
subprocess.call(["gdbserver", "--once", "-", *sys.argv[2:]], stdin=connection, stdout=connection)
`;

/** gdbserver on a program that it has started, for one client at the socket. */
export async function gdbserverAt(socket: string, argv: readonly string[]): Promise<void> {
  launch(['python3', '-c', LISTENER, socket, ...argv]);
  while (!existsSync(socket)) await sleep(5);
}
