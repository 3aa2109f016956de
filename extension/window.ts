/**
 * The editor's window, for all that the extension tells and asks. What it is given may hold text that others chose, so
 * all of it is made plain here, or must be already (`Plain`); nothing else in the extension uses these functions of
 * VS Code's.
 */
import {
  type CancellationToken,
  type Command,
  type Disposable,
  type InputBox,
  Position,
  type Progress,
  ProgressLocation,
  type Pseudoterminal,
  type QuickPick,
  type QuickPickItem,
  Selection,
  StatusBarAlignment,
  type Terminal,
  type TreeView,
  type TreeViewOptions,
  type Uri,
  type WebviewOptions,
  type WebviewPanel,
  window,
} from 'vscode';
import { type Plain, plain } from '../agent/api/plain';
import { printable } from '../agent/api/text';

const MESSAGES = {
  information: window.showInformationMessage,
  warning: window.showWarningMessage,
  error: window.showErrorMessage,
} as const;
type Kind = keyof typeof MESSAGES;

/** A message; resolves with the button that was chosen. Its buttons are the extension's own words. */
export async function tell<Button extends string>(
  kind: Kind,
  text: string,
  ...buttons: Button[]
): Promise<Button | undefined> {
  return MESSAGES[kind]<Button>(plain(text), ...buttons);
}

/** A question that must be answered before anything else. */
export async function ask<Button extends string>(
  kind: Kind,
  question: string,
  detail: string,
  ...buttons: Button[]
): Promise<Button | undefined> {
  return MESSAGES[kind]<Button>(plain(question), { modal: true, detail: plain(detail) }, ...buttons);
}

/** Shows that something is under way for as long as it is. */
export async function during<T>(
  title: string,
  work: (say: (text: string) => void, token: CancellationToken) => Promise<T>,
  { cancellable = false } = {},
): Promise<T> {
  return window.withProgress(
    { location: ProgressLocation.Notification, title: plain(title), cancellable },
    (progress: Progress<{ message: Plain }>, token) =>
      work((text) => progress.report({ message: plain(text) }), token),
  );
}

/** Shows in a view that something is under way for as long as it is. */
export const within = <T>(viewId: string, work: () => Promise<T>): Promise<T> =>
  Promise.resolve(window.withProgress({ location: { viewId } }, work));

/** Opens a file at a line, from 1; who has the keyboard keeps it. */
export async function showSource(file: Uri, line: number): Promise<void> {
  const at = new Position(line - 1, 0);
  await window.showTextDocument(file, { selection: new Selection(at, at), preserveFocus: true });
}

/** For a few seconds, in the status bar. */
export const mention = (text: string, ms: number): Disposable => window.setStatusBarMessage(plain(text), ms);

export interface StatusItem extends Disposable {
  /** `icon`: a name of a codicon. */
  show(item: { icon: string; text: string; tooltip: string; command: Command | undefined }): void;
  hide(): void;
}

/** An entry of the status bar, hidden at first. `name`: for the bar's own menu. */
export function createStatusItem(id: string, name: string): StatusItem {
  const item = window.createStatusBarItem(id, StatusBarAlignment.Left);
  item.name = name;
  return {
    show: ({ icon, text, tooltip, command }) => {
      item.text = `$(${icon}) ${plain(text)}`;
      item.tooltip = plain(tooltip);
      item.command = command;
      item.show();
    },
    hide: () => item.hide(),
    dispose: () => item.dispose(),
  };
}

export interface PlainItem extends QuickPickItem {
  label: Plain;
  description?: Plain;
  detail?: Plain;
}

/** The same, with texts of which the compiler knows that they are plain. */
type Texts<Input, Names extends keyof Input> = Omit<Input, Names> & { [Name in Names]: Plain | undefined };

export const createPick = <Item extends PlainItem>() =>
  window.createQuickPick<Item>() as Texts<QuickPick<Item>, 'title' | 'placeholder'>;

export const createInput = () =>
  window.createInputBox() as Texts<InputBox, 'title' | 'placeholder' | 'prompt' | 'validationMessage'>;

export const createTree = <Element>(id: string, options: TreeViewOptions<Element>) =>
  window.createTreeView(id, options) as Texts<TreeView<Element>, 'message' | 'title' | 'description'>;

export const openTerminal = (name: string, pty?: Pseudoterminal): Terminal =>
  pty ? window.createTerminal({ name: plain(name), pty }) : window.createTerminal({ name: plain(name) });

export const openPanel = (
  viewType: string,
  title: string,
  column: number,
  options: WebviewOptions,
): WebviewPanel => window.createWebviewPanel(viewType, plain(title), column, options);

/** The extension's log: a line for each that is said. */
export interface Log extends Disposable {
  info(line: string): void;
  error(line: string): void;
  /** Where it comes from in the code, too. */
  trace(error: Error): void;
}

export function createLog(): Log {
  const channel = window.createOutputChannel('Godwit', { log: true });
  return {
    info: (line) => channel.info(printable(line)),
    error: (line) => channel.error(printable(line)),
    trace: ({ stack = '' }) => channel.error(stack.split('\n').map(printable).join('\n')),
    dispose: () => channel.dispose(),
  };
}
