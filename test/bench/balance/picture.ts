/** The bench's picture: how much longer than alone jobs take, for each way of putting them on nodes. */
import { NAMES, nameOf } from './names';
import type { Figures, Row } from './trials';

const [PANEL, HEIGHT, LEFT] = [400, 520, 70];
const INK = '#e6edf3';
const FAINT = '#8b98a9';
const LINE = '#2a3648';
const GROUND = '#0d1420';
const FONT = 'font-family="system-ui, -apple-system, Segoe UI, sans-serif"';
const COLOURS: Record<Row['policy'], string> = {
  home: '#f472b6',
  random: '#c084fc',
  idlest: '#fbbf24',
  placement: '#7dd3fc',
  moves: '#a3e635',
  balance: '#34d399',
  bound: FAINT,
};
/** The slowest are beyond the upper edge. */
const MOST = 20;
const LINES = [1, 2, 5, 10, 20];

const short = (value: number) => value.toFixed(1);
const text = (x: number, y: number, size: number, fill: string, content: string, more = '') =>
  `<text x="${short(x)}" y="${short(y)}" font-size="${size}" fill="${fill}" ${FONT} ${more}>${content}</text>`;

export function drawPicture(all: Figures[]): string {
  const width = LEFT + PANEL * all.length;
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${HEIGHT}" role="img">`,
    '<title>How much longer than alone jobs take</title>',
    `<rect width="${width}" height="${HEIGHT}" rx="14" fill="${GROUND}"/>`,
    text(40, 46, 22, INK, 'How much longer than alone jobs take', 'font-weight="600"'),
    text(
      40,
      70,
      13,
      FAINT,
      'Time from launch to end against time alone; the jobs in order of that, the slowest to the right',
    ),
    ...all.flatMap((figures, index) => panel(figures, LEFT + PANEL * index)),
    ...legend(all[0]?.rows ?? []),
    '</svg>',
  ].join('\n')}\n`;
}

const [TOP, TALL, WIDE] = [130, 280, PANEL - 60];
const up = (slowdown: number) =>
  TOP + TALL * (1 - Math.log(Math.min(MOST, Math.max(1, slowdown))) / Math.log(MOST));

function panel({ plan, jobs, rows }: Figures, x: number): string[] {
  const across = (part: number) => x + (WIDE * part) / 100;
  return [
    text(x, TOP - 18, 15, INK, `${nameOf(plan)}: ${jobs.toLocaleString('en')} jobs`),
    ...LINES.flatMap((slowdown) => [
      `<path d="M${x} ${short(up(slowdown))}h${WIDE}" stroke="${LINE}"/>`,
      text(x - 8, up(slowdown) + 4, 11, FAINT, `${slowdown} ×`, 'text-anchor="end"'),
    ]),
    ...[0, 50, 95].map((part) =>
      text(across(part), TOP + TALL + 18, 11, FAINT, `${part} %`, 'text-anchor="middle"'),
    ),
    ...rows.map(({ policy, curve }) => {
      const points = curve.map((slowdown, part) => `${short(across(part))} ${short(up(slowdown))}`);
      return `<path d="M${points.join('L')}" fill="none" stroke="${COLOURS[policy]}" stroke-width="2.2" stroke-linejoin="round"/>`;
    }),
  ];
}

const legend = (rows: Row[]): string[] =>
  rows.flatMap(({ policy }, index) => {
    const [x, y] = [LEFT + 290 * (index % 4), TOP + TALL + 54 + 26 * Math.floor(index / 4)];
    return [
      `<path d="M${x} ${y - 4}h18" stroke="${COLOURS[policy]}" stroke-width="3"/>`,
      text(x + 24, y, 12, INK, NAMES[policy]),
    ];
  });
