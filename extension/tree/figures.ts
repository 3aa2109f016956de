/**
 * The figures in the view: loads change with every snapshot, and VS Code takes a row's tooltip away, and its buttons
 * from under the pointer, when the row is drawn anew. So figures stay until others would tell something else.
 */
import type { ClusterSnapshot } from '../../agent/api/client-events';
import type { Job, Node } from '../../agent/api/model';

/** Between two figures of one row. */
const SHOWN_MS = 5_000;
/** Who has asked for a tooltip reads it meanwhile. */
const READ_MS = 15_000;
/** Part of a figure, and of one CPU, by which it must have changed. */
const NOTICEABLE = 0.1;

interface Figures {
  at: number;
  cpu: number;
  memory: number;
}

export class SteadyFigures {
  #shown = new Map<string, Figures>();
  #readUntil = Number.NEGATIVE_INFINITY;

  /** A tooltip is being read now. */
  read(now: number): void {
    this.#readUntil = now + READ_MS;
  }

  /** The snapshot with the figures that the view shows. */
  settle(snapshot: ClusterSnapshot, now: number): ClusterSnapshot {
    const shown = new Map<string, Figures>();
    const keep = (id: string, cpu: number, memory: number) => {
      const figures = this.#choose(this.#shown.get(id), { at: now, cpu, memory });
      shown.set(id, figures);
      return figures;
    };
    const ofNode = (node: Node): Node => {
      const { cpu, memory } = keep(`node ${node.name} ${node.state}`, node.load, node.memFree);
      return { ...node, load: cpu, memFree: memory };
    };
    const ofJob = (job: Job): Job => {
      const { cpu, memory } = keep(`job ${job.id} ${job.state} ${job.node}`, job.cpu, job.rss);
      return { ...job, cpu, rss: memory };
    };
    const settled = { ...snapshot, nodes: snapshot.nodes.map(ofNode), jobs: snapshot.jobs.map(ofJob) };
    this.#shown = shown;
    return settled;
  }

  #choose(before: Figures | undefined, after: Figures): Figures {
    if (!before) return after;
    const settled = after.at < before.at + SHOWN_MS || after.at < this.#readUntil;
    return settled || !(differs(before.cpu, after.cpu, 1) || differs(before.memory, after.memory, 0))
      ? before
      : after;
  }
}

/** `unit`: a difference of a tenth of this is not noticed. */
const differs = (before: number, after: number, unit: number): boolean =>
  Math.abs(after - before) >= NOTICEABLE * Math.max(before, after, unit);
