/**
 * The keeper: has the processes that must not end with the agent, and decides nothing. Only its agent can ask it, over
 * a socket that only root may open.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig } from '../api/config';
import type { Handlers } from '../api/contract';
import { asGodwitError, GodwitError } from '../api/errors';
import { KEEPER } from '../api/versions';
import { debuggerTools } from '../debug/attach/tools';
import { stackTools } from '../debug/stacks/reader';
import { DaemonLog, endWith, logFailures } from '../log';
import { runAhead } from '../machine/daemons/ahead';
import { isAlive, readIdentity } from '../machine/proc/identity';
import { serveUnix } from '../wire/server';
import { Tickets } from '../wire/tickets';
import { type KeeperContract, keeperContract } from './contract';
import { Processes } from './processes';
import { Retirement } from './retirement';
import { Stacks } from './stacks';
import { Stubs } from './stubs';
import { type End, readReport, readSupervision } from './supervision';
import { keeperPidFile } from './watch';

const daemon = new DaemonLog('keeper.log');

/** Between two looks for the report of a supervisor that an earlier keeper started. */
const REPORT_POLL_MS = 200;

/** How a supervised job ended: from the last line of its supervisor, or from its report if another keeper started it. */
async function endOf(processes: Processes, key: string, report: string): Promise<End> {
  const never = new AbortController().signal;
  try {
    for (let index = 0; ; index++) {
      const { line } = await processes.line(key, index, never);
      if (line === null)
        throw new GodwitError({ code: 'unsupervised', message: `${key} ended without a report` });
      const message = readSupervision(line);
      if ('exited' in message) return message.exited;
    }
  } catch (error) {
    if (asGodwitError(error).code !== 'no-such-process') throw error;
  }
  for (;;) {
    const text = await readFile(report, 'utf8').catch(() => null);
    if (text !== null) return readReport(text);
    await sleep(REPORT_POLL_MS);
  }
}

function handlers(
  processes: Processes,
  stubs: Stubs,
  stacks: Stacks,
  tickets: Tickets,
  retirement: Retirement,
): Handlers<KeeperContract> {
  const id = randomUUID();
  return {
    'keeper.identity': () => ({ id, keeper: KEEPER }),
    'keeper.retire': ({ but }) => retirement.ask(() => stubs.held() ?? processes.runningBut(new Set(but))),
    'process.start': (order) => processes.start(order),
    'process.line': ({ key, index }, { signal }) => processes.line(key, index, signal),
    'process.wait': ({ key }, { signal }) => processes.wait(key, signal),
    'process.signal': ({ key, signal }) => processes.signal(key, signal as NodeJS.Signals),
    'process.list': () => processes.list(),
    'process.forget': ({ key }) => processes.forget(key),
    'stub.attach': ({ location, pid, session }) => stubs.attach(location, pid, session),
    'stub.connect': ({ job, pid, session }) => {
      stubs.check(job, pid, session);
      return { ticket: tickets.issue((stream) => stubs.connect(job, pid, session, stream)) };
    },
    'stub.gone': ({ job, session }) => stubs.gone(job, session),
    'stub.list': () => stubs.list(),
    'job.park': ({ location }) => stubs.park(location),
    'job.unpark': ({ location, parked, thaw }) => stubs.unpark(location, parked, thaw),
    'job.stacks': ({ location }, { signal }) => stacks.read(location, signal),
    'job.debuggerLost': ({ job }) => stubs.debuggerLost(job),
    'job.forget': ({ job }) => stubs.forget(job),
  };
}

/** The agent's own, also if the keeper was started by another process. */
const MASK = 0o022;

async function main(configFile: string) {
  process.umask(MASK);
  const config = await loadConfig(configFile);
  daemon.level = config.logLevel;
  const log = daemon.log.with({ node: config.name });
  const named = await readIdentity(keeperPidFile(config.state));
  if (named && named.pid !== process.pid && (await isAlive(named)))
    return log(`this node's keeper is process ${named.pid}: this one ends`);
  // Its agent, which is ahead, has said where that can't be.
  await runAhead('move').catch(() => {});
  const processes = new Processes();
  const tickets = new Tickets();
  const stubs = new Stubs({
    ended: ({ supervisor, report }) => endOf(processes, supervisor, report),
    tools: await debuggerTools(__dirname),
    log,
  });
  const stacks = new Stacks(stackTools(__dirname), stubs);
  const retirement = new Retirement();
  const server = await serveUnix({
    path: config.keeperSocket,
    name: config.name,
    kind: 'keeper',
    contract: keeperContract,
    handlers: retirement.until(handlers(processes, stubs, stacks, tickets, retirement)),
    tickets,
  });
  log('the keeper is ready');
  const retired = retirement.begun.then(() => {
    log('the keeper ends: it holds nothing, and one of another version takes its place');
    return server.close();
  });
  await Promise.race([once(process, 'SIGTERM'), retired]);
  process.exit(0);
}

logFailures(daemon.log);

main(process.argv[2] ?? '').catch((error: Error) => endWith(daemon.log, error));
