/** Takes away what makes a machine a node of its cluster: its agent, its keeper, its certificate and its configuration. */
import { readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { clusterFiles } from '../api/cluster-files';
import { loadConfig } from '../api/config';
import { parseJson, parseWith } from '../api/schema';
import { writeWhole } from '../machine/whole-file';
import { type NodePlan, restoreConfig, settingsApart } from './node-settings';
import { stopService } from './service';

/** There while a machine joins: what has to be taken away if that never ends. */
const Unfinished = z.strictObject({
  config: z.string(),
  prepared: z.record(z.string(), z.unknown()).nullable(),
});
const unfinishedFile = (state: string) => join(state, 'joining.json');

/** The journal and the consoles of ended jobs stay: they are their users'. */
async function removeMembership(state: string): Promise<void> {
  const { tls, roster, authority } = clusterFiles(state);
  for (const folder of [tls, dirname(roster), authority]) await rm(folder, { recursive: true, force: true });
}

/** Stops the node of this configuration and removes it; what was set besides its membership stays. @returns what was done */
export async function removeNode(config: string): Promise<string[]> {
  const { state } = await loadConfig(config);
  const { steps } = await stopService({ config });
  const rest = await settingsApart(config);
  await restoreConfig({ file: config, prepared: rest });
  await removeMembership(state);
  return [...steps, rest ? `kept the settings in ${config}` : `removed ${config}`];
}

export async function markUnfinished({ state, file, prepared }: NodePlan): Promise<void> {
  await writeWhole(unfinishedFile(state), JSON.stringify({ config: file, prepared }), 0o600);
}

export const markFinished = (state: string): Promise<void> => rm(unfinishedFile(state), { force: true });

/** Takes away what a try has left that was broken off. @throws GodwitError as `stopService` */
export async function clearUnfinished(state: string): Promise<void> {
  const file = unfinishedFile(state);
  const text = await readFile(file, 'utf8').catch(() => null);
  if (text === null) return;
  const { config, prepared } = parseWith(Unfinished, parseJson(file, text), file);
  const written = await loadConfig(config).catch(() => null);
  if (written) await stopService({ config });
  await restoreConfig({ file: config, prepared });
  await removeMembership(state);
  await markFinished(state);
}
