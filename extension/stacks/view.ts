import {
  Disposable,
  EventEmitter,
  ThemeIcon,
  type TreeDataProvider,
  type TreeItem,
  TreeItemCollapsibleState,
} from 'vscode';
import { plain } from '../../agent/api/plain';
import { createTree } from '../window';
import { NO_ROWS, parentRow, type Row, type Rows } from './model';

export const STACKS_VIEW = 'godwit.stacks';

const FOLDS = {
  none: TreeItemCollapsibleState.None,
  open: TreeItemCollapsibleState.Expanded,
  closed: TreeItemCollapsibleState.Collapsed,
} as const satisfies Record<Row['fold'], TreeItemCollapsibleState>;

/** Where the threads of jobs stood when they were read last. */
export class StacksView implements TreeDataProvider<string>, Disposable {
  readonly #changes = new EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.#changes.event;
  readonly #view: ReturnType<typeof createTree<string>>;
  readonly #parts: Disposable;
  #rows: Rows = NO_ROWS;
  /** Rows of another reading are others, however they are called: folds of the one before are not theirs. */
  #reading = 0;

  constructor() {
    this.#view = createTree(STACKS_VIEW, { treeDataProvider: this, showCollapseAll: true });
    this.#parts = Disposable.from(this.#view, this.#changes);
  }

  dispose(): void {
    this.#parts.dispose();
  }

  /** @param about of what and when it is, shown beside the view's title */
  show(rows: Rows, about: string): void {
    this.#rows = rows;
    this.#reading++;
    this.#view.description = plain(about);
    this.#changes.fire(undefined);
  }

  row(element: unknown): Row | undefined {
    return typeof element === 'string' ? this.#rows.rows.get(element) : undefined;
  }

  getTreeItem(element: string): TreeItem {
    const row = this.#rows.rows.get(element);
    if (!row) return { id: element, label: '' };
    return {
      id: `${this.#reading}/${element}`,
      label: row.label,
      description: row.description,
      iconPath: new ThemeIcon(row.icon),
      accessibilityInformation: { label: row.spoken },
      contextValue: row.context,
      tooltip: row.spoken,
      collapsibleState: FOLDS[row.fold],
      ...(row.source
        ? { command: { command: 'godwit.showFrame', title: 'Show', arguments: [element] } }
        : {}),
    };
  }

  getChildren(element = ''): string[] {
    return [...(this.#rows.children.get(element) ?? [])];
  }

  getParent(element: string): string | undefined {
    return parentRow(this.#rows, element);
  }
}
