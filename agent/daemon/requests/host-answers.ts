/** What a host answers the homes of the jobs that are on it. */
import type { Duplex } from 'node:stream';
import type { FixedConfig } from '../../api/config';
import type { Handlers } from '../../api/contract';
import { asGodwitError, jobMoving, nodeDraining } from '../../api/errors';
import type { Obstacle } from '../../api/model';
import type { PeerContract } from '../../api/peer-contract';
import type { KeeperContract } from '../../keeper/contract';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { openFiles } from '../../machine/proc/processes';
import type { Link } from '../../wire/link';
import { pipeStreams } from '../../wire/streams';
import type { Tickets } from '../../wire/tickets';
import type { Rules } from '../cluster/node-rules';
import { homeUnreachable, type MountedFiles } from '../homefs/mounted';
import type { Copies } from '../jobs/copies';
import { type Copy, locationOf, mountOf } from '../jobs/copy';
import type { Debugging } from '../jobs/debugging';
import type { Doors } from '../jobs/doors';
import type { Host } from '../jobs/host';
import type { JobStatuses } from '../jobs/job-status';
import { checkedSignal, signalProgram } from '../jobs/signals';
import { typeInto } from '../jobs/typing';
import type { Moves } from '../migration/moves';
import { asObstacle } from '../preflight/obstacles';
import { sourcePreflight } from '../preflight/source';

export interface HostAnswersParts {
  config: FixedConfig;
  helper: string;
  host: Host;
  copies: Copies;
  statuses: JobStatuses;
  debugging: Debugging;
  doors: Doors;
  mounted: MountedFiles;
  moves: Moves;
  keeper: Link<KeeperContract>;
  tickets: Tickets;
  rules: Rules;
}

type Answered =
  | 'host.launch'
  | 'host.jobStatus'
  | 'host.uses'
  | 'host.kill'
  | 'host.type'
  | 'host.stacks'
  | 'host.debug'
  | 'host.debugGone'
  | 'host.preflight'
  | 'move.toSource'
  | 'move.toDestination';

export function hostAnswers(parts: HostAnswersParts): Pick<Handlers<PeerContract>, Answered> {
  const { config, helper, host, copies, statuses, debugging, mounted, moves, keeper, tickets, rules } = parts;
  const { doors } = parts;
  return {
    'host.launch': (order) => {
      if (rules.now.draining) throw nodeDraining(config.name);
      return host.launch(order);
    },
    'host.jobStatus': async ({ jobs }, caller) => {
      const theirs = jobs.filter((job) => copies.homeOf(job) === caller.name);
      // A home that has lost the answer to a launch asks what has come of it.
      await copies.launched(theirs);
      return { statuses: await statuses.of(theirs) };
    },
    'host.uses': async ({ jobs }, caller) => ({
      uses: await statuses.uses(jobs.filter((job) => copies.homeOf(job) === caller.name)),
    }),
    'host.kill': async ({ job, signal: name }) => {
      const signal = checkedSignal(name);
      const copy = copies.settled(job);
      await signalProgram(helper, copy, signal);
      // A program that was launched stopped has yet to run to notice a signal; only SIGSTOP leaves it as it is.
      if (copy.launchedStopped && signal !== 'SIGSTOP') await host.letGo(copy);
      return {};
    },
    'host.type': async ({ job, ...typed }, { signal }) => {
      await typeInto(job, typed, { copies, helper, signal });
      return {};
    },
    'host.stacks': async ({ job }, { signal }) => {
      const copy = copies.settled(job);
      const options = { signal, timeoutMs: Number.POSITIVE_INFINITY };
      return keeper.call('job.stacks', { location: locationOf(copy) }, options).catch((error) => {
        // What reads them is in the job's PID namespace, and ends with it.
        if (!copies.has(copy) || copies.isLeaving(job)) throw jobMoving(job);
        throw error;
      });
    },
    'host.debug': async ({ fresh, by, ...target }) => {
      const { ticket } = await debugging.open(target, fresh);
      // The keeper's ticket is good at the keeper: the bytes pass through here.
      const join = async (stream: Duplex) => pipeStreams(stream, await keeper.openStream(ticket));
      return { ticket: tickets.issue(join, { by }) };
    },
    'host.debugGone': async (target) => {
      await debugging.clientGone(target);
      return {};
    },
    'host.preflight': async ({ job }) => {
      const copy = copies.get(job);
      if (!copy) throw jobMoving(job);
      const unanswered = await homeObstacle(mounted, copy);
      const stubs = unanswered ? [] : await statuses.stubs();
      const debugged = new Set(stubs.filter((stub) => stub.job === job).map(({ pid }) => pid));
      const door = () => doors.sockets(job);
      const leaving = { ...copy, hasAddress: copy.address !== null, debugged, door };
      return sourcePreflight({ name: config.name, helper, criu: config.criu }, leaving, unanswered);
    },
    'move.toSource': ({ job, home, message }, { signal }) => moves.source(job, home).handle(message, signal),
    'move.toDestination': ({ job, home, terms, message }, { signal }) =>
      moves.destination(job, home).handleOnTerms(terms, message, signal),
  };
}

/** Does the job's home answer for all that it has open? A move would wait for it while the job is frozen. */
async function homeObstacle(mounted: MountedFiles, copy: Copy): Promise<Obstacle | null> {
  if (copy.severed !== null) return asObstacle(homeUnreachable(copy.severed, 'it was adopted without them'));
  const files = mountOf(copy);
  if (!files) return null;
  try {
    await mounted.answers(files, await openFiles(JobCgroup.at(copy.cgroup)));
    return null;
  } catch (error) {
    return asObstacle(asGodwitError(error), 'try again when it answers');
  }
}
