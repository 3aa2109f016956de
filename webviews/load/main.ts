/** Cluster Load: what each node does now and did in the last two minutes. */
import './load.css';
import { z } from 'zod';
import { element, Parts, setText } from '../elements';
import { emptyState, noCluster } from '../empty';
import { meetHost } from '../host';
import { type NodeLoad, ToLoad } from '../messages';
import { onThemeChange } from '../theme';
import { NodeCard } from './card';
import { figure } from './figures';
import { NodeTable } from './table';

const LoadState = z.object({ view: z.enum(['charts', 'table']) });
type View = z.infer<typeof LoadState>['view'];

const summary = element('p', { class: 'summary' });
const notice = element('p', { class: 'notice', role: 'status', hidden: true });
const heard = element('p', { class: 'unseen', role: 'status' });
const cards = element('div', { class: 'cards' });
const table = new NodeTable();
const content = element('main', {}, cards, table.root);
const views: Record<View, HTMLElement> = { charts: cards, table: table.root };

const host = meetHost({ messages: ToLoad, state: LoadState, onMessage: show });
const empty = emptyState(noCluster, host);
const switches = (['charts', 'table'] as const).map((view) => {
  const button = element('button', { type: 'button' }, view === 'charts' ? 'Charts' : 'Table');
  button.addEventListener('click', () => choose(view));
  return { view, button };
});
const head = element(
  'header',
  {},
  element('h1', { class: 'unseen' }, 'Cluster Load'),
  summary,
  element(
    'div',
    { class: 'switch', role: 'group', 'aria-label': 'Show as' },
    ...switches.map((s) => s.button),
  ),
);
document.body.append(head, notice, heard, content, empty);

const parts = new Parts<NodeLoad, NodeCard>(
  cards,
  ({ name }) => name,
  () => new NodeCard(),
  (card) => card.dispose(),
);
let latest: ToLoad | undefined;
let view: View = host.kept?.view ?? 'charts';
choose(view);
onThemeChange(() => {
  for (const card of parts.all()) card.repaint();
});

function choose(next: View): void {
  view = next;
  host.keep({ view });
  for (const each of switches) each.button.setAttribute('aria-pressed', String(each.view === view));
  for (const [name, part] of Object.entries(views)) part.hidden = name !== view;
  if (latest) show(latest);
}

function show(message: ToLoad): void {
  tellChanges(latest?.nodes ?? [], message.nodes);
  latest = message;
  const { connected, nodes, now, problem } = message;
  const known = nodes.length > 0;
  empty.hidden = known || problem !== null;
  head.hidden = content.hidden = !known;
  notice.hidden = connected || (!known && problem === null);
  setText(notice, problem ?? 'No agent answers; this is its last answer.');
  document.body.classList.toggle('stale', !connected);
  setText(summary, summaryOf(nodes));
  // A chart that is not seen has no size to be drawn in.
  if (view === 'charts') parts.show(nodes.map((node) => ({ ...node, now })));
  else table.show(nodes);
}

function summaryOf(nodes: readonly NodeLoad[]): string {
  const up = nodes.filter(({ state }) => state === 'up');
  const sum = (of: (node: NodeLoad) => number) => up.reduce((total, node) => total + of(node), 0);
  const jobs = sum(({ jobs }) => jobs);
  const there = up.length === nodes.length ? `${nodes.length}` : `${up.length} of ${nodes.length}`;
  const busy = `${figure(sum(({ load }) => load))} of ${figure(sum(({ cpus }) => cpus))} CPUs busy`;
  return `${there} ${nodes.length === 1 ? 'node' : 'nodes'} up · ${busy} · ${jobs} ${jobs === 1 ? 'job' : 'jobs'}`;
}

/** Told to screen readers: that a node came or went, and nothing that changes every second. */
function tellChanges(before: readonly NodeLoad[], after: readonly NodeLoad[]): void {
  const states = new Map(before.map(({ name, state }) => [name, state]));
  const told = after
    .filter(({ name, state }) => states.has(name) && states.get(name) !== state)
    .map(({ name, state }) => `${name} is ${state}`);
  if (told.length > 0) setText(heard, told.join(', '));
}
