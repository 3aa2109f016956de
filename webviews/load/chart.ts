/** The chart of one measure of one node: a line over the last two minutes, a moment of which can be pointed at. */
import {
  Chart,
  type ChartDataset,
  Filler,
  LinearScale,
  LineController,
  LineElement,
  type Plugin,
  PointElement,
} from 'chart.js';
import { element, setAttribute, setText } from '../elements';
import type { NodeLoad } from '../messages';
import { computed, isHighContrast } from '../theme';
import { amount, inWords, MEASURES, type Measure, share } from './figures';

Chart.register(LineController, LineElement, PointElement, LinearScale, Filler);

const SHOWN_MS = 120_000;
/** Samples farther apart are not joined: nothing is known of the time between. */
const GAP_MS = 3_500;
const FONT_PX = 11;
/** All charts begin at the same place, however long their figures are. */
const AXIS_WIDTH = 52;

export interface LoadView extends NodeLoad {
  /** The right edge of the charts. */
  now: number;
}

export class LoadChart {
  readonly root: HTMLElement;
  readonly canvas = element('canvas', { role: 'img', tabindex: 0 });
  private readonly readout = element('span', { class: 'readout' });
  private readonly chart: Chart<'line', { x: number; y: number }[]>;
  private view: LoadView | undefined;
  private pointed: number | null = null;

  constructor(
    private readonly measure: Measure,
    onPoint: (index: number | null) => void,
  ) {
    const { title } = MEASURES[measure];
    const caption = element(
      'figcaption',
      {},
      element('span', { class: `measure ${measure}` }, title),
      this.readout,
    );
    const frame = element('div', { class: 'canvas' }, this.canvas);
    this.root = element('figure', {}, caption, frame);
    this.chart = new Chart(this.canvas, {
      type: 'line',
      data: { datasets: [{ data: [] }] },
      options: this.options(),
      plugins: [this.pointer()],
    });
    this.canvas.addEventListener('pointermove', (event) => onPoint(this.indexAt(event.offsetX)));
    this.canvas.addEventListener('pointerleave', () => onPoint(null));
    this.canvas.addEventListener('blur', () => onPoint(null));
    this.canvas.addEventListener('keydown', (event) => {
      const index = this.indexFor(event.key);
      if (index === undefined) return;
      event.preventDefault();
      onPoint(index);
    });
    this.repaint();
  }

  show(view: LoadView, pointed: number | null): void {
    this.view = view;
    const limit = MEASURES[this.measure].limit(view);
    const { at } = view.series;
    const values = view.series[this.measure];
    this.chart.data.datasets[0]!.data = at.map((time, index) => ({
      x: time - view.now,
      y: values[index] ?? Number.NaN,
    }));
    const y = this.chart.options.scales!.y!;
    y.max = Math.max(limit, ...values.map((value) => value ?? 0)) || 1;
    this.point(pointed);
    setAttribute(
      this.canvas,
      'aria-label',
      `${MEASURES[this.measure].title} of ${view.name}: ${inWords(this.measure, view)}`,
    );
  }

  point(index: number | null): void {
    this.pointed = index;
    const { view } = this;
    if (!view) return;
    const values = view.series[this.measure];
    const limit = MEASURES[this.measure].limit(view);
    const text = share(this.measure, index === null ? values.at(-1) : values[index], limit);
    const ago = index === null ? 0 : Math.round((view.now - view.series.at[index]!) / 1000);
    setText(this.readout, index === null ? text : `${text}, ${ago === 0 ? 'now' : `${ago} s ago`}`);
    this.chart.update('none');
  }

  /** What the chart's caption says now. */
  get words(): string {
    return `${MEASURES[this.measure].title} ${this.readout.textContent}`;
  }

  /** With the theme's colours as they are now. */
  repaint(): void {
    const color = computed(`var(${MEASURES[this.measure].color})`);
    const strong = isHighContrast();
    const dataset = this.chart.data.datasets[0] as ChartDataset<'line'>;
    dataset.borderColor = color;
    dataset.borderWidth = strong ? 2 : 1.5;
    // Half of the line's width at both limits.
    dataset.clip = 2;
    dataset.fill = strong ? false : 'origin';
    dataset.backgroundColor = computed(`color-mix(in srgb, ${color} 18%, transparent)`);
    const { fontFamily } = getComputedStyle(document.body);
    const text = computed('var(--vscode-descriptionForeground, var(--vscode-foreground))');
    const line = computed(`color-mix(in srgb, var(--vscode-foreground) ${strong ? 45 : 14}%, transparent)`);
    for (const scale of Object.values(this.chart.options.scales!)) {
      Object.assign(scale!.ticks!, { color: text, font: { family: fontFamily, size: FONT_PX } });
      Object.assign(scale!.grid!, { color: line, tickColor: line });
      Object.assign(scale!.border!, { color: line });
    }
    this.chart.update('none');
  }

  dispose(): void {
    this.chart.destroy();
  }

  private options(): Chart<'line'>['options'] {
    const { measure } = this;
    return {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      events: [],
      normalized: true,
      spanGaps: GAP_MS,
      elements: { point: { radius: 0 }, line: { borderJoinStyle: 'round' } },
      layout: { padding: { top: 4, right: 8 } },
      scales: {
        x: {
          type: 'linear',
          min: -SHOWN_MS,
          max: 0,
          grid: { drawTicks: false },
          border: { display: false },
          ticks: {
            stepSize: SHOWN_MS / 4,
            maxRotation: 0,
            align: 'inner',
            callback: (value) => X_LABELS[Number(value)] ?? '',
          },
        },
        y: {
          type: 'linear',
          min: 0,
          afterFit: (scale) => {
            scale.width = AXIS_WIDTH;
          },
          grid: { drawTicks: false },
          border: { display: false },
          // Nothing, half and all of it: round figures would hide where the limit is.
          afterBuildTicks: (scale) => {
            scale.ticks = [0, scale.max / 2, scale.max].map((value) => ({ value }));
          },
          ticks: { padding: 6, callback: (value) => amount(measure, Number(value)) },
        },
      },
    };
  }

  /** A line through the moment that is pointed at, and a dot on its value. */
  private pointer(): Plugin<'line'> {
    return {
      id: 'pointer',
      afterDatasetsDraw: ({ ctx, chartArea, scales }) => {
        const { pointed, view } = this;
        if (pointed === null || !view) return;
        const value = view.series[this.measure][pointed];
        const x = scales.x!.getPixelForValue(view.series.at[pointed]! - view.now);
        ctx.save();
        ctx.strokeStyle = ctx.fillStyle = computed('var(--vscode-foreground)');
        ctx.beginPath();
        ctx.moveTo(x, chartArea.top);
        ctx.lineTo(x, chartArea.bottom);
        ctx.stroke();
        if (value !== null && value !== undefined) {
          ctx.beginPath();
          ctx.arc(x, scales.y!.getPixelForValue(value), 3, 0, 2 * Math.PI);
          ctx.fill();
        }
        ctx.restore();
      },
    };
  }

  private indexAt(offset: number): number | null {
    const { view } = this;
    const time = this.chart.scales.x!.getValueForPixel(offset);
    if (!view || time === undefined || view.series.at.length === 0) return null;
    return nearestIndex(view.series.at, time + view.now);
  }

  /** Arrows walk along the samples, from the latest one on. */
  private indexFor(key: string): number | null | undefined {
    const last = (this.view?.series.at.length ?? 0) - 1;
    const from = this.pointed ?? last + 1;
    if (last < 0) return undefined;
    if (key === 'ArrowLeft') return Math.max(0, from - 1);
    if (key === 'ArrowRight') return Math.min(last, from + 1);
    if (key === 'Home') return 0;
    if (key === 'End') return last;
    return key === 'Escape' ? null : undefined;
  }
}

const X_LABELS: Record<number, string> = { [-SHOWN_MS]: '2 min ago', [-SHOWN_MS / 2]: '1 min', 0: 'now' };

/** Of the sample nearest to a moment. */
function nearestIndex(times: readonly number[], time: number): number {
  let found = 0;
  times.forEach((each, index) => {
    if (Math.abs(each - time) < Math.abs(times[found]! - time)) found = index;
  });
  return found;
}
