/** The host of the Migration Timeline. */
import type * as vscode from 'vscode';
import type { FromWebview, TimelineJob, ToTimeline } from '../../webviews/messages';
import type { ClusterSource } from '../cluster/source';
import { sentence } from '../failure';
import { HistoryReader, type JobHistory } from './history';
import { offer } from './offer';
import { SinglePanel } from './single-panel';
import { WebviewHost } from './webview-host';

export class TimelinePanel extends SinglePanel {
  private host: WebviewHost<ToTimeline> | undefined;
  private readonly history: HistoryReader;
  /** A lane to bring into view as soon as the webview is there. */
  private wanted: string | undefined;
  private heardAt = Date.now();

  constructor(
    extension: vscode.Uri,
    private readonly cluster: ClusterSource,
    private readonly showConsole: (job: string) => void,
  ) {
    super('timeline', 'Migration Timeline', extension);
    this.history = new HistoryReader(cluster, () => this.send());
    this.subscriptions.push(
      this.history,
      cluster.onDidChange((snapshot) => {
        this.heardAt = Date.now();
        if (!this.host?.isReady) return;
        if (snapshot) this.history.take(snapshot);
        else this.send();
      }),
    );
  }

  reveal(job: string | undefined): void {
    this.wanted = job;
    this.show();
    this.bringIntoView();
  }

  protected open(panel: vscode.WebviewPanel): void {
    const host = new WebviewHost<ToTimeline>(panel, this.extension, 'timeline', {
      onReady: () => {
        this.send();
        if (this.cluster.snapshot) this.history.take(this.cluster.snapshot);
        this.bringIntoView();
      },
      onMessage: (message) => this.receive(message),
      onDispose: () => {
        if (this.host === host) this.host = undefined;
      },
    });
    this.host = host;
  }

  private receive(message: FromWebview): void {
    if (message.type === 'show-console') this.showConsole(message.job);
    else offer(message);
  }

  private send(): void {
    const { snapshot } = this.cluster;
    // With nothing known yet it would say that there are no jobs.
    if (snapshot && !this.history.latest) return;
    const { jobs, events, leftOut, problem } = this.history.latest ?? nothing;
    const why = this.cluster.refusal?.toLine() ?? problem;
    this.host?.send({
      type: 'timeline',
      connected: snapshot !== undefined,
      now: snapshot ? Date.parse(snapshot.time) + (Date.now() - this.heardAt) : this.heardAt,
      nodes: snapshot?.nodes.map(({ name }) => name) ?? [],
      jobs: jobs.map(
        ({ id, name, command, state, home, node, exit, started }): TimelineJob => ({
          ...{ id, name, command, state, home, node, exit, started },
        }),
      ),
      history: events,
      moves: snapshot?.moves ?? [],
      leftOut,
      problem: why === null ? null : sentence(why),
    });
  }

  private bringIntoView(): void {
    if (!this.wanted || !this.host?.isReady) return;
    this.host.send({ type: 'reveal', job: this.wanted });
    this.wanted = undefined;
  }
}

const nothing: JobHistory = { jobs: [], events: [], leftOut: 0, problem: null };
