// Passes what comes to a port on to the agent's socket, and back.
const { connect, createServer } = require('node:net');

const PORT = 7400;
const AGENT = '/run/godwit/agent.sock';

createServer((from) => {
  const to = connect(AGENT);
  for (const [one, other] of [
    [from, to],
    [to, from],
  ]) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
    one.pipe(other);
  }
}).listen(PORT);
