/** Nodes and jobs in a few words, the same in the view, in pickers and for screen readers. */
import type { MovePhase, MoveUnderWay } from '../../agent/api/client-events';
import { exitText, size } from '../../agent/api/figures';
import type { Job, JobState, Node } from '../../agent/api/model';

const count = (n: number, what: string) => `${n} ${what}${n === 1 ? '' : 's'}`;

/** `0.98`, `12`: CPUs in use. */
export const cpus = (value: number): string =>
  value < 10 ? String(Number(value.toFixed(2))) : value.toFixed(0);

export const isOver = ({ state }: Job): boolean => state === 'ended' || state === 'lost';

/** Its home, or the node that has it, does not answer: a person may decide what becomes of what is left. */
export const isLeft = (job: Job, nodes: readonly Node[]): boolean =>
  !isOver(job) &&
  (job.homeSilentMs !== undefined ||
    job.asOf !== undefined ||
    nodes.some(({ name, state }) => name === job.node && state === 'down'));

/** `0.98 of 2 CPUs · 3.1 GB free` */
export function nodeFigures(node: Node): string {
  if (node.state === 'down') return 'down';
  const figures = `${cpus(node.load)} of ${count(Number(cpus(node.cpus)), 'CPU')} · ${size(node.memFree)} free`;
  return node.state === 'up' ? figures : `${node.state} · ${figures}`;
}

/** What a state says to a person who doesn't know the words. */
export const STATE_WORDS: Readonly<Record<JobState, string>> = {
  starting: 'starting',
  running: 'running',
  stopped: 'stopped',
  moving: 'moving',
  ended: 'ended',
  lost: 'lost',
};

/** What happens to a job in each phase of a move, for progress and for the view. */
export const PHASE_WORDS: Readonly<Record<MovePhase, string>> = {
  preparing: 'preparing the other node',
  sending: 'frozen, its memory is on the way',
  restoring: 'being put together there',
  committing: 'being committed',
  thawing: 'thawing',
  returning: 'going back to where it was',
  lost: 'lost: a person has to decide',
};

/** `node1`, `node1 → node2`. Undefined for a job that is over. */
export function placeOf(job: Job, move: MoveUnderWay | undefined): string | undefined {
  if (move) return `${move.from} → ${move.to}`;
  return isOver(job) ? undefined : job.node;
}

/** `running · 0.98 CPU · 12 MB`, `node1 → node2`, `exit 0`. */
export function jobFigures(job: Job, move: MoveUnderWay | undefined): string {
  if (move) return `${move.from} → ${move.to}`;
  if (job.state === 'lost') return 'lost';
  if (job.state === 'ended') return endText(job);
  if (job.queued) return `queued ${job.queued.position}${job.pinned ? ' · pinned' : ''} · ${job.queued.why}`;
  const parts = [STATE_WORDS[job.state]];
  if (job.debugged) parts.push('debugged');
  if (job.pinned) parts.push('pinned');
  else if (job.balanced === false) parts.push('moves when told');
  if (job.state === 'running') parts.push(`${cpus(job.cpu)} CPU`);
  if (job.rss > 0) parts.push(size(job.rss));
  return parts.join(' · ');
}

/** `exit 0`, `SIGTERM` */
export function endText({ exit }: Job): string {
  if (!exit) return 'ended';
  return exit.signal ? exitText(exit) : `exit ${exitText(exit)}`;
}

/** For a screen reader: a sentence instead of signs. */
export function spokenJob(job: Job, move: MoveUnderWay | undefined): string {
  if (move) return `Job ${job.name}, moving from ${move.from} to ${move.to}, ${PHASE_WORDS[move.phase]}`;
  if (isOver(job)) return `Job ${job.name}, ${job.state === 'lost' ? 'lost' : `ended with ${endText(job)}`}`;
  if (job.queued) return `Job ${job.name}, number ${job.queued.position} in the queue: ${job.queued.why}`;
  const debugged = job.debugged ? ', a debugger is attached' : '';
  const pinned = job.pinned ? ', pinned to it' : '';
  return `Job ${job.name}, ${STATE_WORDS[job.state]} on ${job.node}${pinned}, ${size(job.rss)} of memory${debugged}`;
}

/** `24 jobs: 20 running, 4 queued`: of the jobs of an array, those that live by their states. */
export function arrayFigures(jobs: readonly Job[]): string {
  const all = jobs[0]?.array?.count ?? jobs.length;
  const alive = jobs.filter((job) => !isOver(job));
  const states = new Map<string, number>();
  for (const job of alive) {
    const state = job.queued ? 'queued' : STATE_WORDS[job.state];
    states.set(state, (states.get(state) ?? 0) + 1);
  }
  if (all > alive.length) states.set('over', all - alive.length);
  return `${count(all, 'job')}: ${[...states].map(([state, some]) => `${some} ${state}`).join(', ')}`;
}

export function spokenNode(node: Node, jobs: number): string {
  const figures = node.state === 'down' ? '' : `, ${cpus(node.load)} of ${cpus(node.cpus)} CPUs in use`;
  return `Node ${node.name}, ${node.state}, ${count(jobs, 'job')}${figures}`;
}
