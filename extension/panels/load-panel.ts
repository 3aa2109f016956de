/** The host of Cluster Load. */
import type * as vscode from 'vscode';
import type { ToLoad } from '../../webviews/messages';
import type { ClusterSource } from '../cluster/source';
import { sentence } from '../failure';
import { offer } from './offer';
import { LoadSamples } from './samples';
import { SinglePanel } from './single-panel';
import { WebviewHost } from './webview-host';

export class LoadPanel extends SinglePanel {
  /** Taken from the start: a panel that is opened later shows the past, too. */
  private readonly samples = new LoadSamples();
  private host: WebviewHost<ToLoad> | undefined;

  constructor(
    extension: vscode.Uri,
    private readonly cluster: ClusterSource,
  ) {
    super('load', 'Cluster Load', extension);
    if (cluster.snapshot) this.samples.take(cluster.snapshot);
    this.subscriptions.push(
      cluster.onDidChange((snapshot) => {
        if (snapshot) this.samples.take(snapshot);
        this.send();
      }),
    );
  }

  protected open(panel: vscode.WebviewPanel): void {
    const host = new WebviewHost<ToLoad>(panel, this.extension, 'load', {
      onReady: () => this.send(),
      onMessage: offer,
      onDispose: () => {
        if (this.host === host) this.host = undefined;
      },
    });
    this.host = host;
  }

  private send(): void {
    const { now, loads } = this.samples;
    const connected = this.cluster.snapshot !== undefined;
    const { refusal } = this.cluster;
    const problem = refusal ? sentence(refusal.toLine()) : null;
    this.host?.send({ type: 'load', connected, problem, now, nodes: loads });
  }
}
