/** A panel of which there is at most one: shown again where it is, and restored when the editor starts. */
import * as vscode from 'vscode';
import { openPanel } from '../window';
import { viewType, type WebviewName, webviewOptions } from './webview-host';

export abstract class SinglePanel implements vscode.WebviewPanelSerializer, vscode.Disposable {
  protected panel: vscode.WebviewPanel | undefined;
  protected readonly subscriptions: vscode.Disposable[] = [];

  constructor(
    private readonly name: WebviewName,
    private readonly title: string,
    protected readonly extension: vscode.Uri,
  ) {
    this.subscriptions.push(vscode.window.registerWebviewPanelSerializer(viewType(name), this));
  }

  /** Takes a panel that has just been made, or that the editor has restored. */
  protected abstract open(panel: vscode.WebviewPanel): void;

  show(): void {
    if (this.panel) {
      this.panel.reveal();
      return;
    }
    const column = vscode.window.activeTextEditor ? vscode.ViewColumn.Beside : vscode.ViewColumn.Active;
    this.take(openPanel(viewType(this.name), this.title, column, webviewOptions(this.extension)));
  }

  async deserializeWebviewPanel(panel: vscode.WebviewPanel): Promise<void> {
    this.panel?.dispose();
    this.take(panel);
  }

  /** The panel itself stays: to close it as the window closes would keep it from being restored with the next. */
  dispose(): void {
    for (const each of this.subscriptions) each.dispose();
  }

  private take(panel: vscode.WebviewPanel): void {
    this.panel = panel;
    panel.onDidDispose(() => {
      if (this.panel === panel) this.panel = undefined;
    });
    this.open(panel);
  }
}
