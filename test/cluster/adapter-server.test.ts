/** The adapter at a port, for debugging it. */
import { type AddressInfo, connect, type Server } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { run } from '../support/processes';
import { serveAdapters } from '../vscode/adapter-server';

const INITIALIZE = JSON.stringify({
  seq: 1,
  type: 'request',
  command: 'initialize',
  arguments: { adapterID: 'godwit', pathFormat: 'path' },
});
const MESSAGE = `Content-Length: ${INITIALIZE.length}\r\n\r\n${INITIALIZE}`;
/** What Node.js does as another user: says the same, and prints what it hears until it is cut off. */
const AS_ANOTHER = `
  const [port, message] = process.argv.slice(1);
  const socket = require('net').connect(Number(port), '127.0.0.1', () => socket.write(message));
  socket.on('data', (chunk) => (process.stdout.write(chunk), socket.destroy()));
  socket.on('error', () => {});`;

let server: Server;
let port: number;
const said: string[] = [];
beforeAll(async () => {
  server = await serveAdapters(0, (text) => said.push(text));
  ({ port } = server.address() as AddressInfo);
});
afterAll(() => void server.close());

it('answers as an editor expects, each connection by an adapter of its own, which ends with it', async () => {
  const socket = connect(port, '127.0.0.1');
  socket.write(MESSAGE);
  let heard = '';
  for await (const chunk of socket) {
    heard += chunk;
    if (heard.includes('"type":"response"')) break;
  }
  expect(heard).toContain('"success":true');
  socket.destroy();
  await expect.poll(() => said.some((text) => text.includes('ended')), { timeout: 60_000 }).toBe(true);
});

it('does not answer another user of the machine', async () => {
  const adapters = () => said.filter((text) => text.endsWith('connected')).length;
  const before = adapters();
  const argv = ['setpriv', '--reuid', '4711', '--regid', '4711', '--clear-groups', process.execPath];
  const { stdout, status } = await run([...argv, '-e', AS_ANOTHER, String(port), MESSAGE]);
  expect({ stdout, status }).toEqual({ stdout: '', status: 0 });
  expect(adapters()).toBe(before);
});
