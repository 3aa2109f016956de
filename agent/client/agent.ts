/** Asking an agent, once or through its restarts. */
import { type ClientContract, clientContract } from '../api/client-contract';
import { type ClientEvents, clientEvents } from '../api/client-events';
import { asGodwitError, GodwitError } from '../api/errors';
import { GrowingPause } from '../api/retry';
import { type Client, connectUnix } from '../wire/client';
import { enterAllocation } from './allocation';
import { agentGone, lostInCall } from './errors';
import { isOwnDoor } from './inside';

export type Agent = Client<ClientContract, ClientEvents>;

/** Between two attempts to reach an agent that is gone: mostly it restarts, which takes a second or two. */
const PAUSES = { firstMs: 100, mostMs: 2_000 };
/** An agent that is away for longer does not restart: someone has to look after it. */
const GIVE_UP_MS = 60_000;
/** A question that was open for this long had been accepted, and the agent was up. */
const ACCEPTED_MS = 1_000;

/** What an agent's end looks like from here. */
const CUT: ReadonlySet<string> = new Set(['no-agent', 'connection-lost', 'stream-cut', 'debug-stream-cut']);
/** Errors of an agent while it, or the agent of the job's home, restarts. */
const NOT_YET: ReadonlySet<string> = new Set(['node-unreachable', 'ticket-refused', 'timeout', 'no-hello']);
/** Of a door: the job has moved on since it asked. */
const MOVED: ReadonlySet<string> = new Set(['job-gone', 'not-your-job', 'job-moving']);

/** The whole cluster, whatever this program is within. @throws GodwitError `no-agent`, `not-admitted`, `wrong-version`, `connection-lost` */
export const dialWhole = (socket: string): Promise<Agent> =>
  connectUnix(socket, { name: 'godwit', kind: 'client', contract: clientContract, events: clientEvents });

/** By the door of its own job a program waits for the end of a move, during which that is closed: as long as for a restart. */
async function dialPatiently(socket: string): Promise<Agent> {
  if (!isOwnDoor(socket)) return dialWhole(socket);
  const pause = new GrowingPause(PAUSES);
  for (const until = performance.now() + GIVE_UP_MS; ; await pause.wait()) {
    try {
      return await dialWhole(socket);
    } catch (error) {
      const { code } = asGodwitError(error);
      if ((!CUT.has(code) && !NOT_YET.has(code)) || performance.now() > until) throw error;
    }
  }
}

/** Within the allocation that this program is in. @throws those of `dialWhole` */
export async function dial(socket: string): Promise<Agent> {
  const agent = await dialPatiently(socket);
  try {
    await enterAllocation(agent);
    return agent;
  } catch (error) {
    agent.close();
    throw error;
  }
}

/** One question, asked once: what an agent was asked just before it ended may have been done or not. */
export async function ask<T>(socket: string, question: (agent: Agent) => Promise<T>): Promise<T> {
  const agent = await dial(socket);
  try {
    return await question(agent);
  } catch (error) {
    if (error instanceof GodwitError && error.code === 'connection-lost') throw lostInCall(error.message);
    throw error;
  } finally {
    agent.close();
  }
}

/** A question that may be asked again without harm: by a door, whose job may move meanwhile, it is. */
export function askSafely<T>(socket: string, question: (agent: Agent) => Promise<T>): Promise<T> {
  return isOwnDoor(socket) ? askThroughRestarts(socket, question, { accepted: true }) : ask(socket, question);
}

export interface Restarts {
  /** It is known from the beginning that there is something to wait for. */
  accepted?: boolean;
  /** Milliseconds that an agent may be away. */
  giveUpMs?: number;
  dialed?: typeof dial;
}

/**
 * A question that takes as long as a job lives: when the agent restarts meanwhile it is asked anew, as often as need
 * be.
 * @throws GodwitError `agent-gone`, and whatever the agent refuses
 */
export async function askThroughRestarts<T>(
  socket: string,
  question: (agent: Agent) => Promise<T>,
  { accepted = false, giveUpMs = GIVE_UP_MS, dialed = dial }: Restarts = {},
): Promise<T> {
  let met = accepted;
  let known = accepted;
  const pause = new GrowingPause(PAUSES);
  let lostAt: number | undefined;
  for (;;) {
    let askedAt: number | undefined;
    try {
      const agent = await dialed(socket);
      askedAt = performance.now();
      met = true;
      return await question(agent).finally(() => agent.close());
    } catch (error) {
      const why = asGodwitError(error);
      const now = performance.now();
      if (askedAt !== undefined && now - askedAt >= ACCEPTED_MS) {
        known = true;
        pause.reset();
        lostAt = undefined;
      }
      const again = (met && CUT.has(why.code)) || (known && NOT_YET.has(why.code));
      if (!again && !(isOwnDoor(socket) && MOVED.has(why.code))) throw why;
      lostAt ??= now;
      if (now - lostAt > giveUpMs) throw agentGone(socket, Math.round(giveUpMs / 1000), why.message);
      await pause.wait();
    }
  }
}
