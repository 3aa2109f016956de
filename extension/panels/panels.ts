/** The panels of the editor, put together. */
import type * as vscode from 'vscode';
import type { ClusterSource } from '../cluster/source';
import { ConsolePanels } from './console-panels';
import { LoadPanel } from './load-panel';
import { TimelinePanel } from './timeline-panel';

export interface Panels {
  showLoad(): void;
  /** With a job's id, its lane is brought into view. */
  showTimeline(job?: string): void;
  showConsole(job: string): void;
}

/** Restores the panels that were open, too; all of it ends with the extension. */
export function registerPanels(context: vscode.ExtensionContext, cluster: ClusterSource): Panels {
  const { extensionUri } = context;
  const consoles = new ConsolePanels(extensionUri, cluster);
  const showConsole = (job: string) => consoles.show(job);
  const load = new LoadPanel(extensionUri, cluster);
  const timeline = new TimelinePanel(extensionUri, cluster, showConsole);
  context.subscriptions.push(consoles, load, timeline);
  return { showLoad: () => load.show(), showTimeline: (job) => timeline.reveal(job), showConsole };
}
