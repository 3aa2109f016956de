/**
 * The keeper: holds what must not die with the agent, and decides nothing. It speaks to its agent alone, over a
 * socket that only root may open.
 */
import { once } from 'node:events';
import { join } from 'node:path';
import type { Handlers } from '../api/contract';
import { GodwitError } from '../api/errors';
import { parseJson, parseWith } from '../api/schema';
import { serveUnix } from '../api/server';
import { Tickets } from '../api/tickets';
import { loadConfig } from '../cluster/config';
import { gdbserverCommand } from '../debug/gdbserver-command';
import { type KeeperContract, keeperContract } from './contract';
import { Processes } from './processes';
import { Stubs } from './stubs';
import { type End, Supervision } from './supervision';

const log = (line: string) => console.log(`${new Date().toISOString()} ${line}`);

const WORDS = "a supervisor's words";

/** How a supervised job ended, from the last line of its supervisor. */
async function endOf(processes: Processes, key: string): Promise<End> {
  const never = new AbortController().signal;
  for (let index = 0; ; index++) {
    const { line } = await processes.line(key, index, never);
    if (line === null)
      throw new GodwitError({ code: 'unsupervised', message: `${key} ended without a report` });
    const said = parseWith(Supervision, parseJson(WORDS, line), WORDS);
    if ('exited' in said) return said.exited;
  }
}

function handlers(processes: Processes, stubs: Stubs, tickets: Tickets): Handlers<KeeperContract> {
  return {
    'process.start': (order) => processes.start(order),
    'process.line': ({ key, index }, { signal }) => processes.line(key, index, signal),
    'process.wait': ({ key }, { signal }) => processes.wait(key, signal),
    'process.signal': ({ key, signal }) => processes.signal(key, signal as NodeJS.Signals),
    'process.list': () => processes.list(),
    'process.forget': ({ key }) => processes.forget(key),
    'stub.attach': ({ place, pid, session }) => stubs.attach(place, pid, session),
    'stub.connect': ({ job, pid, session }) => {
      stubs.check(job, pid, session);
      return { ticket: tickets.issue((stream) => stubs.connect(job, pid, session, stream)) };
    },
    'stub.gone': ({ job, pid, session }) => stubs.gone(job, pid, session),
    'stub.list': () => stubs.list(),
    'job.park': ({ place }) => stubs.park(place),
    'job.unpark': ({ place, parked, thaw }) => stubs.unpark(place, parked, thaw),
    'job.forget': ({ job }) => stubs.forget(job),
  };
}

async function main(configFile: string) {
  const config = await loadConfig(configFile);
  const processes = new Processes();
  const tickets = new Tickets();
  const gdbserver = await gdbserverCommand(join(__dirname, 'godwit-xstate.so'));
  const stubs = new Stubs({ ended: (supervisor) => endOf(processes, supervisor), gdbserver, log });
  await serveUnix({
    path: config.keeperSocket,
    name: config.name,
    kind: 'keeper',
    contract: keeperContract,
    handlers: handlers(processes, stubs, tickets),
    tickets,
  });
  log(`keeper of ${config.name} holds`);
  await once(process, 'SIGTERM');
  process.exit(0);
}

main(process.argv[2] ?? '').catch((error: Error) => {
  console.error(error.message);
  process.exit(1);
});
