/**
 * A person's word about what is left of a job whose home or host is gone for good. It counts on the node where the copy
 * is, and at the job's home; no other node passes it on.
 */
import type { ClientContract } from '../../api/client-contract';
import type { Caller, Params } from '../../api/contract';
import { asGodwitError, jobAdopted, jobEnded, notYours } from '../../api/errors';
import { type Job, PROGRAM_PID, type User } from '../../api/model';
import { MOST_MEANT } from '../../api/peer-contract';
import type { Scopes } from '../allocations/scopes';
import type { Members } from '../cluster/members';
import type { Peers } from '../cluster/peers';
import { toldOf } from '../jobs/copy';
import type { Home } from '../jobs/home';
import type { HomedJobs } from '../jobs/homed-jobs';
import type { JobStatuses } from '../jobs/job-status';
import { resolveJob } from '../jobs/reference';
import type { HomedJob } from '../journal/journal';
import type { Moves } from '../migration/moves';
import * as refusals from '../migration/stray-refusals';
import { doesAnswer, type Stray, type Strays } from '../migration/strays';
import type { Dispatch } from './dispatch';
import { assertMay, mayDo } from './rights';

type Word = 'adopt' | 'forget';
type Asked = Params<ClientContract, 'jobs.adopt'>;

export interface LeftoversParts {
  node: string;
  home: Home;
  lists: HomedJobs;
  members: Pick<Members, 'state' | 'silentMs'>;
  moves: Moves;
  peers: Pick<Peers, 'call'>;
  statuses: Pick<JobStatuses, 'of'>;
  strays: Strays;
  scopes: Scopes;
}

export class Leftovers {
  constructor(private readonly parts: LeftoversParts) {}

  /** @throws what stands in the way, or the risk where it is not confirmed */
  async decide(word: Word, { job, confirmed }: Asked, caller: Caller, dispatch: Pick<Dispatch, 'find'>) {
    const { lists, node, scopes, strays } = this.parts;
    const { user } = caller;
    const left = await strays.list();
    const all = [...(await lists.find(job, MOST_MEANT)), ...(await this.describe(left))];
    const scope = scopes.of(caller);
    const here = all.filter((one) => scope.sees(one));
    if (here.length === 0) {
      const { id, home } = await dispatch.find(job, caller);
      throw refusals.elsewhere(id, home, home);
    }
    const { id, home } = resolveJob(job, here);
    if (home === node) return this.#own(word, await this.parts.home.job(id), confirmed, user);
    const stray = left.find(({ copy }) => copy.job === id)!;
    if (!mayDo(user, stray.copy.user)) throw notYours(id, stray.copy.user.name);
    await strays[word](stray, confirmed);
    return { id, node };
  }

  /** The copies here of homes that are down, as jobs. */
  async homeless(): Promise<Job[]> {
    return this.describe(await this.parts.strays.homeless());
  }

  async describe(strays: Stray[]): Promise<Job[]> {
    const { members, node, statuses } = this.parts;
    const seen = await statuses.of(strays.map(({ copy }) => copy.job));
    return strays.map(({ copy, note }) => {
      const { job, user, terminal, limits, address, allocation, home } = copy;
      const { name, command, started, moves, array } = toldOf(copy);
      const status = seen.find((one) => one.job === job);
      return {
        ...{ id: job, name, command, user: user.name },
        ...(terminal ? { tty: true } : {}),
        ...(Object.keys(limits).length > 0 ? { limits } : {}),
        state: note.state === 'hosting' ? (status?.state ?? 'running') : 'moving',
        ...{ home, node, pid: PROGRAM_PID, address: address?.ip ?? null },
        ...{ cpu: status?.cpu ?? 0, rss: status?.rss ?? 0, debugged: status?.debugged ?? false },
        ...{ migrations: moves, pinned: false, exit: null, ended: null },
        ...{ started, epoch: note.epoch },
        ...(allocation === null ? {} : { allocation }),
        ...(array ? { array } : {}),
        homeSilentMs: members.silentMs(home) ?? 0,
      };
    });
  }

  async #own(word: Word, job: HomedJob, confirmed: boolean, user: User | undefined) {
    assertMay(user, job);
    if (job.state === 'adopted') throw jobAdopted(job.id, job.ledger.host);
    const { open } = job.ledger;
    // A move that ended with a loss leaves the frozen copy to a person, whatever has become of the job's state.
    if (open && (open.outcome === 'lost' || open.outcome === 'committed'))
      return this.#frozen(word, job, open.move, confirmed);
    if (job.state === 'ended' || job.state === 'lost') throw jobEnded(job.id);
    if (word === 'adopt') throw this.#nothingLeft(job);
    return this.#giveUp(job, confirmed);
  }

  /** Of a move that was committed: the source has the copy as it was then. */
  async #frozen(
    word: Word,
    { id, ledger }: HomedJob,
    { from, to }: { from: string; to: string },
    confirmed: boolean,
  ) {
    const { members, moves } = this.parts;
    const lost = ledger.open?.outcome === 'lost';
    if (!lost && !(await this.#isGone(to)))
      throw refusals.notLeft(id, `${to}, to which it moves, is not down`);
    const silentMs = members.silentMs(to) ?? 0;
    if (!confirmed) {
      if (word === 'forget') throw refusals.frozenNotConfirmed(id, from);
      throw lost
        ? refusals.lostReturnNotConfirmed(id, from)
        : refusals.returnNotConfirmed(id, to, from, silentMs);
    }
    if (members.state(from) === 'down')
      throw refusals.notLeft(id, `${from}, which has the copy, is down itself`);
    const ending = await moves.coordinator(id).decide(word);
    if (word === 'adopt' && ending.outcome === 'moved')
      throw refusals.notLeft(id, `${to} has answered meanwhile: it runs there`);
    if (word === 'adopt' && ending.outcome === 'lost') throw refusals.gone(id, ending.reason);
    return { id, node: from };
  }

  async #isGone(node: string): Promise<boolean> {
    const { members, peers } = this.parts;
    return members.state(node) === 'down' && !(await doesAnswer(peers, node));
  }

  #nothingLeft({ id, ledger }: HomedJob) {
    const { host } = ledger;
    return this.parts.members.state(host) === 'down'
      ? refusals.notLeft(
          id,
          `its only copy was on ${host}, which is down`,
          `wait for ${host}; if it is gone for good, \`godwit forget ${id}\``,
        )
      : refusals.notLeft(id, `it is on ${host}, which answers`);
  }

  /** It was on a host that is gone. */
  async #giveUp({ id, ledger }: HomedJob, confirmed: boolean) {
    const { members, moves } = this.parts;
    const { host, epoch } = ledger;
    if (!(await this.#isGone(host))) throw refusals.runsThere(id, host);
    const silentMs = members.silentMs(host) ?? 0;
    if (!confirmed) throw refusals.givingUpNotConfirmed(id, host, silentMs);
    const reason = refusals.givenUpReason(host, silentMs);
    await moves.coordinator(id).enter({ type: 'given-up', epoch, reason });
    return { id, node: host };
  }

  /**
   * Another node has the job now, by the word of a user who may do that: what is left of it here and elsewhere is ended.
   * @returns what became of it here, for its history
   */
  async handOver(id: string, by: string, epoch: number, user: User | undefined): Promise<string> {
    const { home, moves, node } = this.parts;
    const found = await home.job(id).catch((error) => {
      if (asGodwitError(error).code === 'no-such-job') return null;
      throw error;
    });
    if (!found) return `${node} knows of no such job any more`;
    assertMay(user, found);
    const { state, exit, ledger } = found;
    if (state === 'adopted' && ledger.host === by) return `${node} had heard of it`;
    if (state === 'ended')
      return `by what ${node} knows it had ended on ${ledger.host} with ${exit?.signal ?? exit?.exit}`;
    const reason = `a person let the copy on ${by} run on, which is its home now`;
    await moves.coordinator(id).enter({ type: 'adopted', epoch, by, reason });
    if (ledger.host === by) return `${by} was its host`;
    return `the copy that ran on ${ledger.host} is ended`;
  }
}
