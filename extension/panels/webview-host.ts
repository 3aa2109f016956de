/** One webview panel: its page, its policy, its messages. */
import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';
import { FromWebview } from '../../webviews/messages';

/** The bundles in dist/webviews; also the last part of the panel's view type. */
export type WebviewName = 'load' | 'timeline' | 'console';

export const viewType = (name: WebviewName): string => `godwit.${name}`;

/** Where the bundles are. Webviews may load from there and nowhere else. */
const bundles = (extension: vscode.Uri): vscode.Uri => vscode.Uri.joinPath(extension, 'dist', 'webviews');

export const webviewOptions = (extension: vscode.Uri): vscode.WebviewOptions => ({
  enableScripts: true,
  localResourceRoots: [bundles(extension)],
});

export interface WebviewCallbacks {
  /** It has just been loaded, for the first time or again after it was hidden, and has nothing to show yet. */
  onReady(): void;
  onMessage(message: Exclude<FromWebview, { type: 'ready' }>): void;
  /** It is not shown any more. Nothing can be sent until it is ready again. */
  onHidden?(): void;
  onDispose(): void;
}

export class WebviewHost<Message> {
  /** VS Code throws a hidden webview's page away, and loads it anew when it is shown. */
  private ready = false;

  constructor(
    readonly panel: vscode.WebviewPanel,
    extension: vscode.Uri,
    name: WebviewName,
    callbacks: WebviewCallbacks,
  ) {
    const { webview } = panel;
    webview.onDidReceiveMessage((message) => this.receive(FromWebview.parse(message), callbacks));
    panel.onDidChangeViewState(() => {
      if (panel.visible || !this.ready) return;
      this.ready = false;
      callbacks.onHidden?.();
    });
    panel.onDidDispose(() => {
      this.ready = false;
      callbacks.onDispose();
    });
    webview.options = webviewOptions(extension);
    webview.html = page(webview, extension, name, panel.title);
  }

  /** Dropped while the webview is not ready: when it becomes so, it gets everything. */
  send(message: Message): void {
    if (this.ready) void this.panel.webview.postMessage(message);
  }

  get isReady(): boolean {
    return this.ready;
  }

  private receive(message: FromWebview, { onReady, onMessage }: WebviewCallbacks): void {
    if (message.type === 'ready') {
      this.ready = true;
      onReady();
    } else onMessage(message);
  }
}

const NONCE_BYTES = 16;

function page(webview: vscode.Webview, extension: vscode.Uri, name: WebviewName, title: string): string {
  const nonce = randomBytes(NONCE_BYTES).toString('hex');
  const source = (file: string) =>
    webview.asWebviewUri(vscode.Uri.joinPath(bundles(extension), file)).toString();
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy(webview, name, nonce)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title.replace(/[<&]/g, (character) => `&#${character.charCodeAt(0)};`)}</title>
<link rel="stylesheet" href="${source(`${name}.css`)}">
</head>
<body>
<script nonce="${nonce}" src="${source(`${name}.js`)}"></script>
</body>
</html>`;
}

/**
 * Our own script, our own style sheet, and nothing else: no images, fonts, frames or requests. The console's terminal
 * makes style sheets of its own, to which the webview gives the nonce, and sets colours that a program chooses by
 * 24-bit values in `style` attributes, which can't have one; attributes alone are let through there. Whatever a
 * program prints is set as text and never becomes an attribute's name or markup.
 */
function policy(webview: vscode.Webview, name: WebviewName, nonce: string): string {
  const rules = ["default-src 'none'", `script-src 'nonce-${nonce}'`];
  if (name === 'console') {
    rules.push(`style-src-elem ${webview.cspSource} 'nonce-${nonce}'`, "style-src-attr 'unsafe-inline'");
  } else rules.push(`style-src ${webview.cspSource}`);
  return rules.join('; ');
}
