/** Which process of a job. */
import { ThemeIcon } from 'vscode';
import type { Job } from '../../agent/api/model';
import { plain } from '../../agent/api/plain';
import type { Cluster } from '../cluster/cluster';
import { type ListedProcess, processesIn } from '../stacks/processes';
import { askToPick, type Choice, type Dismissed } from './steps';

/** A job's symbols may have to be read first. */
const FOR_AS_LONG_AS_IT_TAKES = { timeoutMs: Number.POSITIVE_INFINITY };

/** Its number inside the job. The only process there is is not asked for. @throws GodwitError of the agent's */
export async function askForProcess(
  cluster: Cluster,
  { id, name }: Job,
  title: string,
): Promise<number | Dismissed> {
  const processes = processesIn(await cluster.call('jobs.stacks', { job: id }, FOR_AS_LONG_AS_IT_TAKES));
  if (processes.length === 1) return processes[0]!.pid;
  const picked = await askToPick<number>({
    title,
    placeholder: `The process of ${name} to debug`,
    items: processes.map(choice),
  });
  return typeof picked === 'number' ? picked : undefined;
}

function choice({ pid, name, threads, where }: ListedProcess): Choice<number> {
  const count = threads > 1 ? ` · ${threads} threads` : '';
  return {
    label: plain(`${pid} ${name}`.trim()),
    description: plain(`${where}${count}`),
    iconPath: new ThemeIcon('debug-alt-small'),
    value: pid,
  };
}
