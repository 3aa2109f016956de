/**
 * A client made by hand, as the user that runs it: node ask.cjs SOCKET METHOD PARAMS. Prints the answer or the refusal.
 * With `--by-heir` the process that connects ends first, and a child that has inherited the connection asks.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { asGodwitError } from '../../../agent/api/errors';
import { RPC_PATH } from '../../../agent/wire/endpoint';
import { Connection } from '../../../agent/wire/rpc';

const INHERITED = 3;

async function ask(transport: Socket, method: string, params: string): Promise<void> {
  const socket = new WebSocket(`ws+unix:/godwit:${RPC_PATH}`, {
    perMessageDeflate: false,
    createConnection: () => transport,
  });
  // At once: the first message may have come with the upgrade.
  const connection = await new Promise<Connection>((resolve) => {
    const self = { kind: 'client', name: 'made-by-hand' } as const;
    socket.once('open', () => resolve(new Connection(socket, { self })));
  });
  const answer = await connection.ready
    .then(() => connection.call(method, JSON.parse(params), z.json()))
    .catch((error) => ({ refused: asGodwitError(error).toFailure() }));
  console.log(JSON.stringify(answer));
  connection.close();
}

async function main([socket = '', method = '', params = '', heir]: string[]): Promise<void> {
  if (socket === 'inherited') {
    // Until its parent is another process: the one that connected has ended.
    for (const parent = Number(heir); process.ppid === parent; ) await sleep(5);
    return ask(new Socket({ fd: INHERITED }), method, params);
  }
  const transport = connect(socket);
  if (heir === undefined) return ask(transport, method, params);
  await once(transport, 'connect');
  const { fd } = (transport as unknown as { _handle: { fd: number } })._handle;
  const args = [__filename, 'inherited', method, params, `${process.pid}`];
  spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit', fd], detached: true }).unref();
  process.exit(0);
}

void main(process.argv.slice(2));
