import {
  type DataTransfer,
  DataTransferItem,
  Disposable,
  EventEmitter,
  MarkdownString,
  ThemeColor,
  ThemeIcon,
  type TreeDataProvider,
  type TreeDragAndDropController,
  type TreeItem,
  TreeItemCollapsibleState,
} from 'vscode';
import { plain } from '../../agent/api/plain';
import type { Cluster } from '../cluster/cluster';
import { sentence } from '../failure';
import { createTree } from '../window';
import { Asked } from './asked';
import { SteadyFigures } from './figures';
import { buildTree, changedElements, EMPTY, type Item, meantBy, parentOf, ROOT, type Tree } from './model';

/** VS Code's own name for what is dragged out of this view. */
const MIME = 'application/vnd.code.tree.godwit.cluster';

/**
 * Between two drawings: VS Code draws only when nothing has changed for 200 ms, so that what changes more often would
 * not be seen before it comes to rest.
 */
const DRAWN_EVERY_MS = 250;

const FOLDS = {
  none: TreeItemCollapsibleState.None,
  open: TreeItemCollapsibleState.Expanded,
  closed: TreeItemCollapsibleState.Collapsed,
} as const satisfies Record<Item['fold'], TreeItemCollapsibleState>;

/** Nodes and their jobs as the latest snapshot has them. A job that is dropped on a node moves there. */
export class ClusterTree implements TreeDataProvider<string>, TreeDragAndDropController<string>, Disposable {
  readonly dragMimeTypes = [MIME];
  readonly dropMimeTypes = [MIME];
  readonly #changes = new EventEmitter<string[] | undefined>();
  readonly onDidChangeTreeData = this.#changes.event;
  readonly #view: ReturnType<typeof createTree<string>>;
  readonly #parts: Disposable;
  #tree: Tree = EMPTY;
  #before: Tree = EMPTY;
  readonly #figures = new SteadyFigures();
  readonly #asked = new Asked();
  #drawn = Number.NEGATIVE_INFINITY;
  #drawing: NodeJS.Timeout | undefined;

  constructor(
    private readonly cluster: Cluster,
    private readonly migrate: (job: string, node: string) => void,
  ) {
    this.#view = createTree('godwit.cluster', {
      treeDataProvider: this,
      dragAndDropController: this,
      showCollapseAll: false,
    });
    this.#parts = Disposable.from(
      this.#view,
      this.#changes,
      cluster.onDidChange(() => this.#redrawSoon()),
      cluster.onDidChangeState(() => this.#explain()),
    );
    this.#redraw();
    this.#explain();
  }

  dispose(): void {
    clearTimeout(this.#drawing);
    this.#parts.dispose();
  }

  getTreeItem(element: string): TreeItem {
    // One that has gone since it was drawn stays what it was: the view gets the change, and asks for its children again.
    const item = this.#tree.items.get(element) ?? this.#before.items.get(element);
    if (!item) return { id: element, label: '' };
    const { label, description, icon, spoken, context, fold } = item;
    return {
      id: element,
      label,
      description,
      iconPath: new ThemeIcon(icon.name, icon.color ? new ThemeColor(icon.color) : undefined),
      accessibilityInformation: { label: spoken },
      contextValue: context,
      collapsibleState: FOLDS[fold],
    };
  }

  /** Asked for when the pointer is on the row. Nothing in it is trusted: it has no links to commands, icons or HTML. */
  resolveTreeItem(item: TreeItem, element: string): TreeItem {
    this.#figures.read(performance.now());
    const tooltip = this.#tree.items.get(element)?.tooltip();
    if (tooltip !== undefined) item.tooltip = new MarkdownString(tooltip);
    return item;
  }

  getChildren(element?: string): string[] {
    this.#asked.asked(element ?? ROOT);
    return [...(this.#tree.children.get(element ?? ROOT) ?? [])];
  }

  getParent(element: string): string | undefined {
    return parentOf(this.#tree, element);
  }

  handleDrag(elements: readonly string[], transfer: DataTransfer): void {
    const jobs = elements.filter((element) => meantBy(element).job);
    if (jobs.length > 0) transfer.set(MIME, new DataTransferItem(jobs));
  }

  handleDrop(target: string | undefined, transfer: DataTransfer): void {
    const onto = target && (meantBy(target).node ? target : this.getParent(target));
    const node = onto && meantBy(onto).node;
    const dragged: unknown = transfer.get(MIME)?.value;
    if (!node || !Array.isArray(dragged)) return;
    for (const element of dragged) {
      const { job } = meantBy(String(element));
      if (job) this.migrate(job, node);
    }
  }

  #redrawSoon() {
    this.#drawing ??= setTimeout(
      () => this.#redraw(),
      Math.max(0, this.#drawn + DRAWN_EVERY_MS - performance.now()),
    );
  }

  #redraw() {
    this.#drawing = undefined;
    this.#drawn = performance.now();
    const { snapshot } = this.cluster;
    const tree = snapshot ? buildTree(this.#figures.settle(snapshot, this.#drawn)) : EMPTY;
    const overdue = this.#view.visible ? this.#asked.overdue(this.#drawn) : [];
    const changed = [...new Set([...changedElements(this.#tree, tree), ...overdue])];
    this.#before = this.#tree;
    this.#tree = tree;
    for (const element of changed)
      if (element === ROOT || tree.items.get(element)?.fold === 'open')
        this.#asked.told(element, this.#drawn);
    if (changed.includes(ROOT)) this.#changes.fire(undefined);
    else if (changed.length > 0) this.#changes.fire(changed);
  }

  /** That there is no agent, or none any more, is the welcome's to say; the reasons of one that refuses are its own. */
  #explain() {
    const { state, problem } = this.cluster;
    const telling = state === 'refused' && problem;
    this.#view.message = telling ? plain(sentence(problem.toLine())) : undefined;
  }
}
