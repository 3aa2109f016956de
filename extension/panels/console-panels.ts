/** The hosts of consoles: one panel a job. */
import * as vscode from 'vscode';
import type { Job } from '../../agent/api/model';
import { plain } from '../../agent/api/plain';
import { ConsoleState, type FromWebview, type Reading, type ToConsole } from '../../webviews/messages';
import type { ClusterSource } from '../cluster/source';
import { openPanel } from '../window';
import { ConsoleReader } from './console-reader';
import { viewType, WebviewHost, webviewOptions } from './webview-host';

export class ConsolePanels implements vscode.WebviewPanelSerializer, vscode.Disposable {
  private readonly panels = new Map<string, ConsolePanel>();
  private readonly serializer: vscode.Disposable;

  constructor(
    private readonly extension: vscode.Uri,
    private readonly cluster: ClusterSource,
  ) {
    this.serializer = vscode.window.registerWebviewPanelSerializer(viewType('console'), this);
  }

  show(job: string): void {
    const known = this.panels.get(job);
    if (known) {
      known.reveal();
      return;
    }
    const column = vscode.window.activeTextEditor ? vscode.ViewColumn.Beside : vscode.ViewColumn.Active;
    const title = titleOf(
      job,
      this.cluster.snapshot?.jobs.find(({ id }) => id === job),
    );
    this.take(job, openPanel(viewType('console'), title, column, webviewOptions(this.extension)));
  }

  async deserializeWebviewPanel(panel: vscode.WebviewPanel, kept: unknown): Promise<void> {
    const state = ConsoleState.safeParse(kept);
    // Closed before it had heard of its job: there is nothing to restore.
    if (!state.success || this.panels.has(state.data.job)) panel.dispose();
    else this.take(state.data.job, panel);
  }

  /** The panels themselves stay: to close them as the window closes would keep them from being restored. */
  dispose(): void {
    this.serializer.dispose();
    for (const panel of this.panels.values()) panel.stop();
  }

  private take(job: string, panel: vscode.WebviewPanel): void {
    const made = new ConsolePanel(job, panel, this.extension, this.cluster, () => this.panels.delete(job));
    this.panels.set(job, made);
  }
}

const titleOf = (id: string, job: Job | undefined) => plain(`Console: ${job?.name ?? id}`);

class ConsolePanel {
  private readonly host: WebviewHost<ToConsole>;
  private readonly watching: vscode.Disposable;
  /** What was heard last: jobs that ended long ago leave the snapshot, not their panel. */
  private known: Job | undefined;
  private reading: Reading = { at: 'following' };
  private reader: ConsoleReader | undefined;
  private readers = 0;
  /** Bytes at its beginning that are not shown. */
  private leftOut = 0;

  constructor(
    private readonly job: string,
    panel: vscode.WebviewPanel,
    extension: vscode.Uri,
    private readonly cluster: ClusterSource,
    onDispose: () => void,
  ) {
    this.host = new WebviewHost(panel, extension, 'console', {
      onReady: () => this.begin(),
      onMessage: (message) => this.receive(message),
      onHidden: () => this.reader?.dispose(),
      onDispose: () => {
        this.stop();
        onDispose();
      },
    });
    this.watching = cluster.onDidChange(() => this.send());
  }

  reveal(): void {
    this.host.panel.reveal();
  }

  stop(): void {
    this.reader?.dispose();
    this.watching.dispose();
  }

  /** The webview has an empty terminal: all is read again, and nothing need be kept here. */
  private begin(): void {
    this.reader?.dispose();
    const number = ++this.readers;
    this.leftOut = 0;
    this.host.send({ type: 'begin', reader: number });
    this.reader = new ConsoleReader(this.cluster, this.job, {
      begin: (offset) => {
        this.leftOut = offset;
        this.send();
      },
      bytes: (offset, bytes) => this.host.send({ type: 'bytes', reader: number, offset, bytes }),
      reading: (reading) => {
        this.reading = reading;
        this.send();
      },
    });
    this.send();
    void this.reader.run();
    if (!this.known) void this.lookUp();
  }

  private receive(message: FromWebview): void {
    if (message.type === 'taken' && message.reader === this.readers) this.reader?.acknowledge(message.offset);
  }

  private async lookUp(): Promise<void> {
    try {
      this.known ??= await this.cluster.call('jobs.show', { job: this.job });
      this.send();
    } catch {
      // The header goes without; the reading says what is wrong with the cluster.
    }
  }

  private send(): void {
    const { snapshot } = this.cluster;
    this.known = snapshot?.jobs.find(({ id }) => id === this.job) ?? this.known;
    const { known: job, reading } = this;
    const title = titleOf(this.job, job);
    if (this.host.panel.title !== title) this.host.panel.title = title;
    const move = snapshot?.moves.find((each) => each.job === this.job);
    this.host.send({
      type: 'console',
      id: this.job,
      job: job ? headOf(job) : null,
      connected: snapshot !== undefined,
      reading,
      leftOut: this.leftOut,
      move: move ? { to: move.to, epoch: move.epoch, since: move.since } : null,
    });
  }
}

const headOf = ({ name, command, state, home, node, exit, epoch }: Job) => ({
  ...{ name, command, state, home, node, exit, epoch },
});
