/** The bench's picture: how one suspicion goes through a cluster, when a death is known, what it costs. */
import type { Change } from '../../support/membership-world';
import type { Figures } from './trials';

const [WIDTH, HEIGHT] = [1_240, 780];
const INK = '#e6edf3';
const FAINT = '#8b98a9';
const LINE = '#2a3648';
const GROUND = '#0d1420';
/** For a text to be read on whatever is below it. */
const HALO = `stroke="${GROUND}" stroke-width="4" paint-order="stroke"`;
const SIZES = ['#7dd3fc', '#a78bfa', '#f472b6', '#fbbf24'];
const FONT = 'font-family="system-ui, -apple-system, Segoe UI, sans-serif"';

const short = (value: number) => value.toFixed(1);
const text = (x: number, y: number, size: number, fill: string, content: string, more = '') =>
  `<text x="${short(x)}" y="${short(y)}" font-size="${size}" fill="${fill}" ${FONT} ${more}>${content}</text>`;

export function drawPicture(figures: Figures[], changes: Change[], members: number): string {
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img">`,
    `<title>Membership by gossip</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" rx="14" fill="${GROUND}"/>`,
    ...drawWave(changes, members, { x: 390, y: 420, radius: 325 }),
    ...drawDeaths(figures, { x: 850, y: 110, width: 340, height: 250 }),
    ...drawCost(figures, { x: 850, y: 490, width: 340, height: 210 }),
    '</svg>',
  ];
  return `${parts.join('\n')}\n`;
}

interface Told {
  name: string;
  /** Seconds after the first. */
  at: number;
  children: Told[];
  leaves: number;
}

/** The first who noticed in the middle; who heard it further out the later, on the side of who told it. */
function treeOf(changes: Change[]): Told {
  const begun = Math.min(...changes.map(({ at }) => at));
  const told = new Map<string, Told>();
  const root: Told = { name: '', at: 0, children: [], leaves: 1 };
  for (const { seenBy, at, from } of [...changes].sort((one, other) => one.at - other.at)) {
    const one: Told = { name: seenBy, at: (at - begun) / 1_000, children: [], leaves: 1 };
    told.set(seenBy, one);
    (told.get(from ?? '') ?? root).children.push(one);
  }
  const count = (one: Told): number => {
    one.leaves = Math.max(
      1,
      one.children.reduce((sum, child) => sum + count(child), 0),
    );
    return one.leaves;
  };
  count(root);
  return root;
}

function drawWave(
  changes: Change[],
  members: number,
  { x, y, radius }: { x: number; y: number; radius: number },
): string[] {
  const root = treeOf(changes);
  const last = Math.max(...changes.map(({ at }) => at)) - Math.min(...changes.map(({ at }) => at));
  const seconds = last / 1_000;
  const far = (at: number) => (radius * at) / seconds;
  const edges: string[] = [];
  const dots: string[] = [];
  const place = (one: Told, from: number, to: number, px: number, py: number) => {
    const angle = (from + to) / 2;
    const [cx, cy] = [x + Math.cos(angle) * far(one.at), y + Math.sin(angle) * far(one.at)];
    const colour = heat(one.at / seconds);
    if (one.name !== '') {
      const bend = far(one.at) * 0.55 + Math.hypot(px - x, py - y) * 0.45;
      const [bx, by] = [x + Math.cos(angle) * bend, y + Math.sin(angle) * bend];
      edges.push(
        `<path d="M${short(px)} ${short(py)}Q${short(bx)} ${short(by)} ${short(cx)} ${short(cy)}" stroke="${colour}"/>`,
      );
      dots.push(
        `<circle cx="${short(cx)}" cy="${short(cy)}" r="${one.at === 0 ? 6 : 2.3}" fill="${colour}"/>`,
      );
    }
    let begin = from;
    for (const child of one.children) {
      const end = begin + ((to - from) * child.leaves) / one.leaves;
      place(child, begin, end, cx, cy);
      begin = end;
    }
  };
  place(root, -Math.PI / 2, (3 * Math.PI) / 2, x, y);
  const halves = Array.from({ length: Math.floor(2 * seconds) }, (_, half) => (half + 1) / 2);
  const rings = halves.map(
    (second) =>
      `<circle cx="${x}" cy="${y}" r="${short(far(second))}" fill="none" stroke="${LINE}" stroke-dasharray="2 5"/>`,
  );
  const labels = halves.map((second) =>
    text(x, y - far(second) - 4, 11, INK, `${second} s`, `text-anchor="middle" ${HALO}`),
  );
  return [
    text(
      40,
      46,
      22,
      INK,
      `How ${members.toLocaleString('en')} nodes hear of one that is silent`,
      'font-weight="600"',
    ),
    text(
      40,
      70,
      13,
      FAINT,
      'Each dot is a node, its line leads to who told it. In the middle: who noticed first.',
    ),
    ...rings,
    `<g fill="none" stroke-width="0.9" stroke-opacity="0.55">${edges.join('')}</g>`,
    `<g>${dots.join('')}</g>`,
    ...labels,
  ];
}

/** From the first (warm) to the last (cold). */
function heat(share: number): string {
  const hue = 42 + 168 * Math.min(1, share);
  return `hsl(${hue.toFixed(0)} 90% ${(66 - 6 * share).toFixed(0)}%)`;
}

interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

function drawDeaths(figures: Figures[], { x, y, width, height }: Box): string[] {
  const most = 5 * Math.ceil(Math.max(...figures.map(({ down }) => down.worst)) / 5);
  const across = (seconds: number) => x + (width * seconds) / most;
  const parts = [
    text(x, y - 40, 17, INK, 'A node dies: who shows it as down?', 'font-weight="600"'),
    text(x, y - 20, 12, FAINT, 'Share of the others, by seconds since its death'),
  ];
  for (const share of [0, 0.5, 1]) {
    const at = y + height * (1 - share);
    parts.push(`<path d="M${x} ${short(at)}h${width}" stroke="${LINE}"/>`);
    parts.push(text(x - 8, at + 4, 11, FAINT, `${share * 100} %`, 'text-anchor="end"'));
  }
  for (let second = 0; second <= most; second += 5)
    parts.push(text(across(second), y + height + 17, 11, FAINT, `${second} s`, 'text-anchor="middle"'));
  figures.forEach(({ members, down }, index) => {
    const points = down.curve.map(
      (seconds, part) => `${short(across(seconds))} ${short(y + height * (1 - part / 100))}`,
    );
    const colour = SIZES[index % SIZES.length]!;
    parts.push(
      `<path d="M${short(across(down.curve[0]!))} ${y + height}L${points.join('L')}" fill="none" stroke="${colour}" stroke-width="2.5" stroke-linejoin="round"/>`,
    );
    const [at, below] = [x + (index * width) / SIZES.length, y + height + 42];
    parts.push(`<path d="M${at} ${below - 4}h16" stroke="${colour}" stroke-width="3"/>`);
    parts.push(text(at + 21, below, 11, INK, members.toLocaleString('en')));
  });
  return parts;
}

/** What each would send that asked all others once a second: a small question and its answer over TLS and TCP. */
const ASKED_BYTES = 700;

function drawCost(figures: Figures[], { x, y, width, height }: Box): string[] {
  const sizes = figures.map(({ members }) => members);
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)];
  const [low, high] = [1_000, 10_000_000];
  const across = (members: number) =>
    x + (most === least ? 0 : (width * Math.log10(members / least)) / Math.log10(most / least));
  const up = (bytes: number) => y + height - (height * Math.log10(bytes / low)) / Math.log10(high / low);
  const line = (of: (one: Figures) => number) =>
    figures.map((one) => `${short(across(one.members))} ${short(up(of(one)))}`).join('L');
  const asked = ({ members }: Figures) => ASKED_BYTES * (members - 1);
  const parts = [
    text(x, y - 40, 17, INK, 'What a node sends each second', 'font-weight="600"'),
    text(x, y - 20, 12, FAINT, 'Bytes, with UDP and IP headers, by the number of nodes'),
  ];
  for (const [bytes, name] of [
    [1_000, '1 kB'],
    [10_000, '10 kB'],
    [100_000, '100 kB'],
    [1_000_000, '1 MB'],
    [10_000_000, '10 MB'],
  ] as const) {
    parts.push(`<path d="M${x} ${short(up(bytes))}h${width}" stroke="${LINE}"/>`);
    parts.push(text(x - 8, up(bytes) + 4, 11, FAINT, name, 'text-anchor="end"'));
  }
  parts.push(
    `<path d="M${line(asked)}" fill="none" stroke="${FAINT}" stroke-width="2" stroke-dasharray="5 5"/>`,
  );
  const label = across(Math.sqrt(least * most));
  const above = up(asked({ members: Math.sqrt(least * most) } as Figures)) - 16;
  parts.push(text(label, above, 12, FAINT, 'if each asked all', 'text-anchor="end"'));
  parts.push(`<path d="M${line(({ bytes }) => bytes)}" fill="none" stroke="#34d399" stroke-width="2.5"/>`);
  for (const { members, bytes, messages } of figures) {
    parts.push(`<circle cx="${short(across(members))}" cy="${short(up(bytes))}" r="4.5" fill="#34d399"/>`);
    const shown = `${(bytes / 1_000).toFixed(1)} kB`;
    parts.push(text(across(members), up(bytes) - 26, 11, INK, shown, 'text-anchor="middle"'));
    parts.push(
      text(across(members), y + height + 18, 11, FAINT, members.toLocaleString('en'), 'text-anchor="middle"'),
    );
    parts.push(
      text(across(members), up(bytes) - 12, 10, FAINT, `${messages} messages`, 'text-anchor="middle"'),
    );
  }
  return parts;
}
