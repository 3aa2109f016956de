/** Which job, which node. */
import { ThemeIcon } from 'vscode';
import type { ClusterSnapshot } from '../../agent/api/client-events';
import { GodwitError } from '../../agent/api/errors';
import { commandLine } from '../../agent/api/figures';
import type { Job, Node } from '../../agent/api/model';
import { plain } from '../../agent/api/plain';
import type { Cluster } from '../cluster/cluster';
import { isOver, jobFigures, nodeFigures, STATE_WORDS } from '../cluster/descriptions';
import { noCluster } from '../cluster/errors';
import { jobById } from '../cluster/jobs';
import { askToPick, type BACK, type Choice, type Dismissed, type Position } from './steps';

/** An agent that runs answers within this time. */
const SNAPSHOT_WITHIN_MS = 5_000;

export interface JobQuestion {
  title: string;
  placeholder: string;
  /** Which of the jobs are asked for. */
  of: (job: Job) => boolean;
  /** The one that is meant if nothing else is said. */
  likely?: string | undefined;
  /** Where there is none: why that is so. */
  none: string;
}

export const living = (job: Job) => !isOver(job);

/** The only job there is is not asked for. @throws GodwitError `no-job`, `no-such-job`, `no-agent` */
export async function askForJob(cluster: Cluster, question: JobQuestion): Promise<Job | Dismissed> {
  const { title, placeholder, of, likely, none } = question;
  const first = await snapshotOf(cluster);
  const found = ({ jobs }: ClusterSnapshot) => jobs.filter(of).reverse();
  const [only, ...others] = found(first);
  if (!only) throw new GodwitError({ code: 'no-job', message: none });
  if (others.length === 0) return only;
  const choices = (snapshot: ClusterSnapshot) => found(snapshot).map((job) => jobChoice(job, snapshot));
  const picked = await askToPick<string>({
    title,
    placeholder,
    items: choices(first),
    active: likely,
    follow: (set) => cluster.onDidChange((snapshot) => snapshot && set(choices(snapshot))),
  });
  if (typeof picked !== 'string') return undefined;
  return jobById(picked, (cluster.snapshot ?? first).jobs);
}

function jobChoice(job: Job, { moves }: ClusterSnapshot): Choice<string> {
  const move = moves.find((one) => one.job === job.id);
  return {
    label: plain(job.name),
    description: plain(`${isOver(job) ? '' : `${job.node} · `}${jobFigures(job, move)}`),
    detail: plain(commandLine(job.command)),
    iconPath: new ThemeIcon(
      job.debugged ? 'debug-alt' : job.state === 'stopped' ? 'debug-pause' : 'play-circle',
    ),
    value: job.id,
  };
}

export interface NodeQuestion extends Position {
  placeholder: string;
  /** Where the job is already. */
  except?: string | undefined;
  /** The job's home, which is marked. */
  home?: string | undefined;
  active?: string | undefined;
  /** Only nodes by their names, not `best`. */
  named?: boolean | undefined;
}

/** A node's name, or `best`. @throws GodwitError `no-agent`, `no-other-node` */
export async function askForNode(
  cluster: Cluster,
  question: NodeQuestion,
): Promise<string | typeof BACK | Dismissed> {
  const { except, home, active, named = false } = question;
  const first = await snapshotOf(cluster);
  const choices = ({ nodes, jobs }: ClusterSnapshot): Choice<string>[] => {
    const others = nodes.filter(({ name }) => name !== except);
    const best = {
      label: plain('best'),
      description: plain('the node with the most to spare'),
      iconPath: new ThemeIcon('sparkle'),
      value: 'best',
    };
    return [...(named ? [] : [best]), ...others.map((node) => nodeChoice(node, jobs, node.name === home))];
  };
  if (!named && choices(first).length === 1) throw noOtherNode();
  return askToPick({
    ...question,
    items: choices(first),
    active: active ?? (named ? undefined : 'best'),
    follow: (set) => cluster.onDidChange((snapshot) => snapshot && set(choices(snapshot))),
  });
}

function nodeChoice(node: Node, jobs: Job[], isHome: boolean): Choice<string> {
  const here = jobs.filter((job) => job.node === node.name && living(job) && !job.queued);
  const named = here.map((job) => `${job.name} (${STATE_WORDS[job.state]})`).join(', ');
  return {
    label: plain(node.name),
    description: plain(`${nodeFigures(node)}${isHome ? ' · the job’s home' : ''}`),
    detail: plain(named || 'no jobs'),
    iconPath: new ThemeIcon(isHome ? 'home' : node.state === 'up' ? 'server' : 'warning'),
    value: node.name,
  };
}

const noOtherNode = () =>
  new GodwitError({
    code: 'no-other-node',
    message: 'the cluster has one node only, so there is nowhere to move to',
    fix: 'raise the setting godwit.labNodes and start the local cluster anew',
  });

/** @throws GodwitError `no-agent` */
export async function snapshotOf(cluster: Cluster): Promise<ClusterSnapshot> {
  if (cluster.snapshot) return cluster.snapshot;
  if (cluster.state === 'none' || cluster.state === 'refused' || cluster.state === 'lost')
    throw cluster.problem ?? noCluster(cluster.socket);
  return cluster.ready(SNAPSHOT_WITHIN_MS);
}
