/**
 * The debug adapter at a port, for debugging it: `"debugServer": PORT` in a launch configuration has VS Code connect
 * here. Each connection gets an adapter of its own, as sessions do; Node's debugger follows it there. Not in the package.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { inProject } from '../support/project';

const HERE = '127.0.0.1';

/** @param port 0 for any @returns when it can be connected to */
export async function serveAdapters(port: number, say: (text: string) => void): Promise<Server> {
  const server = createServer((socket) => {
    // A client of an adapter starts programs as its user.
    if (userBehind(socket) === process.getuid!()) giveAdapter(socket, say);
    else socket.destroy();
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, HERE, resolve));
  return server;
}

function giveAdapter(socket: Socket, say: (text: string) => void): void {
  const adapter = spawn(process.execPath, ['--enable-source-maps', inProject('dist', 'adapter.cjs')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  say(`adapter ${adapter.pid}: connected`);
  socket.pipe(adapter.stdin);
  adapter.stdout.pipe(socket);
  socket.on('error', () => adapter.stdin.end());
  adapter.stdin.on('error', () => socket.destroy());
  adapter.once('exit', (status, signal) => say(`adapter ${adapter.pid}: ended (${signal ?? status})`));
}

/** The user of the process at the other end of a connection within this machine; undefined where the kernel says none. */
function userBehind({ remotePort, localPort }: Socket): number | undefined {
  const port = (number?: number) => number!.toString(16).toUpperCase().padStart(4, '0');
  const rows = readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1);
  const row = rows
    .map((line) => line.trim().split(/\s+/))
    .find(
      ([, local, remote]) =>
        local?.endsWith(`:${port(remotePort)}`) && remote?.endsWith(`:${port(localPort)}`),
    );
  return row && Number(row[7]);
}
