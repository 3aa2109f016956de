/**
 * Opens the inspector of a lab's agent or keeper, for a debugger at port 9229 of this machine:
 *
 *     node scripts/inspect-agent.mjs LAB NODE [agent|keeper]
 *
 * Each node has a network of its own, and Node.js opens the inspector there (at SIGUSR1): each connection is passed on
 * into it. One process a node at a time: both would take the same port.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

const PORT = 9229;
const [lab, node, program = 'agent'] = process.argv.slice(2);
if (!lab || !node) {
  process.stderr.write('usage: node scripts/inspect-agent.mjs LAB NODE [agent|keeper]\n');
  process.exit(2);
}
const [pid] = readFileSync(`/var/lib/godwit/labs/${lab}/${node}/${program}.pid`, 'utf8').split(' ');
process.kill(Number(pid), 'SIGUSR1');

const passOn = `const s=require('node:net').connect(${PORT},'127.0.0.1');process.stdin.pipe(s).pipe(process.stdout);s.on('error',()=>process.exit(1));s.on('close',()=>process.exit(0))`;
const server = createServer((socket) => {
  const argv = ['-t', pid, '-n', process.execPath, '-e', passOn];
  const inside = spawn('nsenter', argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  socket.pipe(inside.stdin).on('error', () => {});
  inside.stdout.pipe(socket);
  socket.on('error', () => inside.kill()).on('close', () => inside.kill());
});
server.listen(PORT, '127.0.0.1', () =>
  process.stdout.write(`${program} of ${node} (process ${pid}): attach a debugger to port ${PORT}\n`),
);
