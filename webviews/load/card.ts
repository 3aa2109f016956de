/** One node: its name and state, what it has, and its two charts. */
import { element, setAttribute, setText } from '../elements';
import { LoadChart, type LoadView } from './chart';
import { figure } from './figures';

export class NodeCard {
  private readonly name = element('h2');
  private readonly state = element('span', { class: 'state' });
  private readonly facts = element('p', { class: 'facts' });
  /** What is read at the moment that the keyboard points at. */
  private readonly spoken = element('p', { class: 'unseen', 'aria-live': 'polite' });
  private readonly charts = (['cpu', 'memory'] as const).map(
    (measure) => new LoadChart(measure, (index) => this.point(index)),
  );
  readonly root = element(
    'section',
    { class: 'card' },
    element('header', {}, this.name, this.state, this.facts),
    ...this.charts.map((chart) => chart.root),
    this.spoken,
  );
  private view: LoadView | undefined;
  /** When, not which: samples move on while one is pointed at. */
  private pointed: number | null = null;

  update(view: LoadView): void {
    this.view = view;
    const { name, state, address, cpus, jobs, series } = view;
    setText(this.name, name);
    setText(this.state, state);
    this.root.dataset.state = state;
    setAttribute(this.root, 'aria-label', `${name}, ${state}`);
    const has = [
      cpus > 0 ? `${figure(cpus)} ${cpus === 1 ? 'CPU' : 'CPUs'}` : '',
      `${jobs} ${jobs === 1 ? 'job' : 'jobs'}`,
    ];
    setText(this.facts, [...has, address].filter(Boolean).join(' · '));
    const index = this.pointed === null ? -1 : series.at.indexOf(this.pointed);
    for (const chart of this.charts) chart.show(view, index < 0 ? null : index);
  }

  repaint(): void {
    for (const chart of this.charts) chart.repaint();
  }

  dispose(): void {
    for (const chart of this.charts) chart.dispose();
  }

  private point(index: number | null): void {
    this.pointed = index === null ? null : (this.view?.series.at[index] ?? null);
    for (const chart of this.charts) chart.point(index);
    const asked = this.charts.find(({ canvas }) => canvas === document.activeElement);
    setText(this.spoken, index === null || !asked ? '' : asked.words);
  }
}
