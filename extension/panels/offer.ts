/** Runs a command that a webview offers where it has nothing to show. */
import * as vscode from 'vscode';
import type { FromWebview } from '../../webviews/messages';

export function offer(message: FromWebview): void {
  if (message.type === 'command') void vscode.commands.executeCommand(message.command);
}
