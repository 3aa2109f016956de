/** The last two minutes of each node, so that a panel that is opened, hidden or reloaded shows all of them. */
import type { ClusterSnapshot } from '../../agent/api/client-events';
import type { Node } from '../../agent/api/model';
import type { NodeLoad } from '../../webviews/messages';

/** At one a second: two minutes. */
export const SAMPLES_KEPT = 120;
/** Snapshots also come when a job changes; what comes sooner than this stands in for the sample before it. */
const SAMPLE_MS = 1_000;
/** Timers are late by a little, never by half a period. */
const TOLERANCE_MS = SAMPLE_MS / 2;

interface Sample {
  at: number;
  cpu: number | null;
  memory: number | null;
}

interface Known {
  node: Node;
  samples: Sample[];
}

export class LoadSamples {
  private nodes = new Map<string, Known>();
  private latest = 0;

  /** Nodes that are no longer part of the cluster are forgotten. */
  take({ time, nodes }: ClusterSnapshot): void {
    const at = Date.parse(time);
    // Another agent with another clock: samples must stay in order.
    if (at < this.latest - TOLERANCE_MS) this.nodes.clear();
    this.latest = at;
    this.nodes = new Map(nodes.map((node) => [node.name, this.known(node, at)]));
  }

  /** When the latest snapshot was made, in milliseconds since 1970; 0 before the first. */
  get now(): number {
    return this.latest;
  }

  get loads(): NodeLoad[] {
    return [...this.nodes.values()].map(({ node, samples }) => ({
      ...node,
      series: {
        at: samples.map((sample) => sample.at),
        cpu: samples.map((sample) => sample.cpu),
        memory: samples.map((sample) => sample.memory),
      },
    }));
  }

  private known(node: Node, at: number): Known {
    const before = this.nodes.get(node.name);
    const samples = before?.samples ?? [];
    const previous = samples.at(-2);
    if (previous && at - previous.at < SAMPLE_MS + TOLERANCE_MS) samples.pop();
    samples.push(sampleOf(node, at));
    if (samples.length > SAMPLES_KEPT) samples.splice(0, samples.length - SAMPLES_KEPT);
    return { node: withLimits(node, before?.node), samples };
  }
}

/** A node that does not answer says nothing of its load, which is not the same as having none. */
function sampleOf({ state, load, memTotal, memFree }: Node, at: number): Sample {
  const heard = state !== 'down' && memTotal > 0;
  return { at, cpu: heard ? load : null, memory: heard ? memTotal - memFree : null };
}

/** What it had when it was heard last: a chart keeps its scale while its node is away. */
const withLimits = (node: Node, before: Node | undefined): Node =>
  node.memTotal > 0 || !before ? node : { ...node, cpus: before.cpus, memTotal: before.memTotal };
