/** Moves: asked for, explained when they can't be, followed, taken back. */
import type { CancellationToken } from 'vscode';
import { asGodwitError, GodwitError } from '../../agent/api/errors';
import { span } from '../../agent/api/figures';
import type { Job, MoveReport, Obstacle } from '../../agent/api/model';
import type { Cluster } from '../cluster/cluster';
import { PHASE_WORDS } from '../cluster/descriptions';
import type { DebuggedJobs } from '../debug/sessions';
import { RemediedError } from '../failure';
import { askForNode, living } from '../prompts/places';
import { during, tell } from '../window';
import { remedyFor } from './remedies';
import { nodeGiven, type Targets } from './targets';

/** After a move has been taken back its home says so within the time of an abort; then it is looked at once more. */
const SETTLED_WITHIN_MS = 15_000;

export class Migration {
  constructor(
    private readonly cluster: Cluster,
    private readonly targets: Targets,
    private readonly showTimeline: (job: string) => void,
    private readonly debugged: Pick<DebuggedJobs, 'isOnlyAttached' | 'stopFor'>,
  ) {}

  /** Resolves with the move's report; undefined when the person gave it up. */
  async migrate(givenJob: unknown, givenNode: unknown): Promise<MoveReport | undefined> {
    const job = await this.targets.job(givenJob, {
      title: 'Migrate Job',
      placeholder: 'The job to move',
      of: living,
      none: 'there is no job to move',
    });
    if (!job) return undefined;
    const node =
      nodeGiven(givenNode) ??
      (await askForNode(this.cluster, {
        title: `Migrate ${job.name}`,
        placeholder: `${job.name} is on ${job.node}; where shall it go?`,
        except: job.node,
        home: job.home,
      }));
    return typeof node === 'string' ? this.#move(job, node) : undefined;
  }

  async sendHome(givenJob: unknown): Promise<MoveReport | undefined> {
    const job = await this.targets.job(givenJob, {
      title: 'Send Job Home',
      placeholder: 'The job to send home',
      of: (one) => living(one) && one.node !== one.home,
      none: 'every job is at home',
    });
    if (job && job.node === job.home)
      throw new GodwitError({ code: 'already-there', message: `job ${job.name} is at home, on ${job.home}` });
    return job && this.#move(job, 'home');
  }

  async #move(job: Job, node: string): Promise<MoveReport | undefined> {
    const report = await during(
      `Moving ${job.name} to ${node}`,
      (say, token) => this.#follow(job, node, token, say),
      { cancellable: true },
    ).catch((error) => {
      const refused = asGodwitError(error);
      const { code, obstacles } = refused;
      const codes = obstacles?.map((obstacle) => obstacle.code) ?? [code];
      // One that failed on the way says where the job runs on.
      const said = obstacles && code !== 'move-failed' ? cannotMove(job, node, obstacles) : refused;
      throw this.#remedied(job, node, said, codes);
    });
    if (report) this.#tell(job, report);
    return report;
  }

  /** The same with what can be done about it from here. */
  #remedied(job: Job, node: string, error: GodwitError, codes: string[]): GodwitError {
    const remedy = remedyFor(codes);
    if (remedy === 'unpin')
      return new RemediedError(error.toFailure(), {
        title: 'Unpin and Move',
        run: async () => {
          await this.cluster.call('jobs.pin', { job: job.id, pinned: false });
          await this.#move(job, node);
        },
      });
    if (remedy === 'choose-another-node')
      return new RemediedError(error.toFailure(), {
        title: 'Choose Another Node',
        run: async () => void (await this.migrate(job.id, undefined)),
      });
    if (remedy === 'end-debug-session' && this.debugged.isOnlyAttached(job.id))
      return new RemediedError(error.toFailure(), {
        title: 'End the Debug Session',
        run: () => this.debugged.stopFor(job.id),
      });
    return error;
  }

  /** Undefined when the move was taken back. */
  async #follow(
    job: Job,
    node: string,
    token: CancellationToken,
    tell: (message: string) => void,
  ): Promise<MoveReport | undefined> {
    const given = new AbortController();
    const cancelling = token.onCancellationRequested(() => given.abort());
    const following = this.cluster.onDidChange((snapshot) => {
      const move = snapshot?.moves.find((one) => one.job === job.id);
      if (move) tell(PHASE_WORDS[move.phase]);
    });
    try {
      const params = { job: job.id, node, transfer: 'auto' } as const;
      return await this.cluster.call('jobs.migrate', params, {
        signal: given.signal,
        timeoutMs: Number.POSITIVE_INFINITY,
      });
    } catch (error) {
      if (!given.signal.aborted || asGodwitError(error).code !== 'cancelled') throw error;
      tell('being taken back');
      await this.#tellWhere(job);
      return undefined;
    } finally {
      cancelling.dispose();
      following.dispose();
    }
  }

  #tell(job: Job, { from, to, freezeMs }: MoveReport) {
    const timeline = 'Show Migration Timeline';
    const moved = `${job.name} moved from ${from} to ${to}, frozen for ${span(freezeMs)}.`;
    void tell('information', moved, timeline).then((chosen) => chosen && this.showTimeline(job.id));
  }

  /** Taking a move back can come too late; where the job is then, its home knows. */
  async #tellWhere(job: Job): Promise<void> {
    const settled = await this.#settled(job.id);
    if (!settled) {
      void tell('warning', `The move of ${job.name} is being taken back, which takes longer than usual.`);
    } else if (settled.node === job.node) {
      void tell('information', `The move of ${job.name} was taken back; it runs on at ${job.node}.`);
    } else {
      void tell(
        'information',
        `It was too late to take the move of ${job.name} back: it is on ${settled.node}.`,
      );
    }
  }

  #settled(id: string): Promise<Job | undefined> {
    return this.cluster.until(
      ({ jobs, moves }) =>
        !moves.some((move) => move.job === id) && jobs.find((one) => one.id === id && one.state !== 'moving'),
      SETTLED_WITHIN_MS,
      { later: true },
    );
  }
}

/** All obstacles at once: who has cleared one away must not meet the next. */
function cannotMove(job: Job, node: string, obstacles: Obstacle[]): GodwitError {
  const [first, ...others] = obstacles;
  const also = others.map(({ what, fix }) => `; also: ${what} (${fix})`).join('');
  return new GodwitError({
    code: first?.code ?? 'obstacle',
    message: `job ${job.name} can't move to ${node}: ${first?.what ?? 'there is an obstacle'}`,
    fix: `${first?.fix ?? ''}${also}`,
  });
}
