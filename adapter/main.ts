/** The debug adapter of type `godwit`: one session, over its standard input and output. */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { GodwitSession } from './session/session';

/** An agent that is away for longer does not restart: someone has to look after it. */
const PATIENCE_MS = 60_000;

const { values } = parseArgs({ options: { 'agent-patience-ms': { type: 'string' } } });

const session = new GodwitSession({
  patienceMs: Number(values['agent-patience-ms'] ?? PATIENCE_MS),
  drained: async () => {
    if (process.stdout.writableNeedDrain) await once(process.stdout, 'drain');
  },
});
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => session.shutdown());
// cdt-gdb-adapter does not handle some of gdb's refusals; none of them may end a session.
process.on('unhandledRejection', (error) => process.stderr.write(`${error}\n`));
session.start(process.stdin, process.stdout);
