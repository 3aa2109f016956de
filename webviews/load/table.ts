/** The same figures as a table, for those who rather read. */
import { size } from '../../agent/api/figures';
import { element, Parts, setText } from '../elements';
import type { NodeLoad } from '../messages';
import { figure } from './figures';

const COLUMNS: { title: string; figure?: true; cell(node: NodeLoad): string }[] = [
  { title: 'Node', cell: ({ name }) => name },
  { title: 'State', cell: ({ state }) => state },
  { title: 'CPU now', figure: true, cell: ({ series }) => known(series.cpu.at(-1), figure) },
  { title: 'CPU most', figure: true, cell: ({ series }) => known(most(series.cpu), figure) },
  { title: 'CPUs', figure: true, cell: ({ cpus }) => known(cpus || null, figure) },
  { title: 'Memory now', figure: true, cell: ({ series }) => known(series.memory.at(-1), size) },
  { title: 'Memory most', figure: true, cell: ({ series }) => known(most(series.memory), size) },
  { title: 'Memory', figure: true, cell: ({ memTotal }) => known(memTotal || null, size) },
  { title: 'Jobs', figure: true, cell: ({ jobs }) => String(jobs) },
  { title: 'Address', cell: ({ address }) => address },
];

const known = (value: number | null | undefined, text: (value: number) => string): string =>
  value === null || value === undefined ? '–' : text(value);

function most(values: readonly (number | null)[]): number | null {
  const heard = values.filter((value) => value !== null);
  return heard.length > 0 ? Math.max(...heard) : null;
}

export class NodeTable {
  private readonly body = element('tbody');
  // It scrolls sideways where it is too wide, and so must be within the keyboard's reach.
  readonly root = element(
    'div',
    { class: 'table', tabindex: 0, role: 'region', 'aria-label': 'Load of each node' },
    element(
      'table',
      {},
      element('caption', {}, 'Most: in the last two minutes.'),
      element(
        'thead',
        {},
        element(
          'tr',
          {},
          ...COLUMNS.map(({ title, figure }) =>
            element('th', { scope: 'col', class: figure && 'figure' }, title),
          ),
        ),
      ),
      this.body,
    ),
  );
  private readonly rows = new Parts<NodeLoad, Row>(
    this.body,
    ({ name }) => name,
    () => new Row(),
  );

  show(nodes: readonly NodeLoad[]): void {
    this.rows.show(nodes);
  }
}

class Row {
  private readonly cells = COLUMNS.map(({ figure }, index) =>
    index === 0 ? element('th', { scope: 'row' }) : element('td', { class: figure && 'figure' }),
  );
  readonly root = element('tr', {}, ...this.cells);

  update(node: NodeLoad): void {
    this.root.dataset.state = node.state;
    COLUMNS.forEach(({ cell }, index) => {
      setText(this.cells[index]!, cell(node));
    });
  }
}
