/**
 * What programs of a job may ask by its door: what launching others takes, as the job's user. All else is refused by name:
 * a program that moves itself, or debugs its neighbours, would wait for its own freezing.
 */
import type { ClientContract } from '../../api/client-contract';
import type { Caller, Handlers, Method } from '../../api/contract';
import { GodwitError } from '../../api/errors';
import type { Scopes } from '../allocations/scopes';
import type { Peers } from '../cluster/peers';
import type { Copies } from '../jobs/copies';
import type { Copy } from '../jobs/copy';
import { Doorway, type DoorwayOptions } from './doorway';
import { withinLimitsOf } from './launcher';

/** The launch on a host, twice where the first takes no such job, and the way there. */
const LAUNCH_TIMEOUT_MS = 90_000;

/** Asked as by any client of that user's. */
const AS_ANY_CLIENT = [
  ...(['jobs.list', 'jobs.show', 'jobs.wait', 'jobs.kill', 'jobs.console', 'jobs.history'] as const),
  ...(['jobs.why', 'jobs.placed', 'nodes.list'] as const),
] satisfies Method<ClientContract>[];

interface DoorParts {
  copies: Copies;
  peers: Pick<Peers, 'call'>;
  scopes: Scopes;
}

/** From now on programs of jobs are answered. @param client what any client of their users is answered */
export async function openDoorway(
  parts: DoorParts & DoorwayOptions,
  client: Handlers<ClientContract>,
): Promise<void> {
  const doorway = new Doorway(parts);
  await doorway.listen(doorHandlers({ ...parts, doorway }, client));
}

function doorHandlers(
  { copies, doorway, peers, scopes }: DoorParts & { doorway: Doorway },
  client: Handlers<ClientContract>,
): Handlers<ClientContract> {
  /** @throws `job-gone` */
  const copyOf = ({ connection }: Caller): Copy => {
    const copy = copies.get(doorway.jobOf(connection) ?? '');
    if (!copy) throw gone();
    return copy;
  };
  /** It sees no more of the cluster than the allocation that its job is in. */
  const within = (caller: Caller): Caller => {
    const { allocation } = copyOf(caller);
    if (allocation !== null) scopes.enter(caller, allocation);
    return caller;
  };
  const refused = (Object.keys(client) as Method<ClientContract>[]).map((method) => [
    method,
    () => {
      throw notFromAJob(method);
    },
  ]);
  const asked = AS_ANY_CLIENT.map((method) => [
    method,
    (params: never, caller: Caller) => client[method](params, within(caller)),
  ]);
  return {
    ...(Object.fromEntries([...refused, ...asked]) as Handlers<ClientContract>),
    // The variable that names one is inherited; which one counts is the job's own.
    'allocation.enter': (_params, caller) => ({ entered: copyOf(within(caller)).allocation !== null }),
    'jobs.run': async (request, caller) => {
      const copy = copyOf(caller);
      const limited = await withinLimitsOf(copy, request);
      const options = { signal: caller.signal, timeoutMs: LAUNCH_TIMEOUT_MS };
      return peers.call(copy.home, 'home.launch', { job: copy.job, request: limited }, options);
    },
  };
}

const gone = () =>
  new GodwitError({
    code: 'job-gone',
    message: 'the job that asks is not on this node any more',
    fix: 'ask again: where it has come to, its door is open',
  });

const notFromAJob = (method: string) =>
  new GodwitError({
    code: 'not-from-a-job',
    message: `a program of a job may not ask for ${method}`,
    fix: 'ask from outside of the job; from inside run, ps, wait, kill, logs, history, why and nodes are answered',
  });
