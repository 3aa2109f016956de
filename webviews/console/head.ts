/** Above the terminal: which job it is, where it is now, and its state. */
import { commandLine, exitText, size } from '../../agent/api/figures';
import { element, setAttribute, setText } from '../elements';
import type { ConsoleHead, Reading } from '../messages';

export class Head {
  private readonly name = element('h1');
  private readonly node = element('span', { class: 'node' });
  private readonly state = element('span', { class: 'state', role: 'status' });
  private readonly command = element('code');
  private readonly reading = element('span', { class: 'reading', role: 'status' });
  private readonly leftOut = element('span', { class: 'left-out' });
  readonly root = element(
    'header',
    {},
    this.name,
    this.state,
    this.node,
    this.command,
    this.leftOut,
    this.reading,
  );

  show({ id, job, connected, reading, leftOut, move }: ConsoleHead): void {
    setText(this.name, job?.name ?? id);
    setAttribute(this.name, 'title', id);
    setText(this.command, job ? commandLine(job.command) : '');
    setAttribute(this.command, 'title', job ? commandLine(job.command) : undefined);
    setText(this.node, job ? place(job.node, move?.to) : '');
    setText(this.state, job ? stateText(job) : '');
    this.root.dataset.state = job?.exit && job.exit.exit !== 0 ? 'failed' : (job?.state ?? 'unknown');
    setText(this.reading, readingText(reading, connected));
    setText(this.leftOut, leftOut > 0 ? `the first ${size(leftOut)} are left out` : '');
  }
}

const place = (node: string, to: string | undefined): string => (to ? `${node} → ${to}` : `on ${node}`);

function stateText({ state, exit }: NonNullable<ConsoleHead['job']>): string {
  if (state !== 'ended' || !exit) return state;
  return exit.signal ? `ended by ${exitText(exit)}` : `ended, exit status ${exitText(exit)}`;
}

function readingText(reading: Reading, connected: boolean): string {
  switch (reading.at) {
    case 'following':
    case 'whole':
      return '';
    case 'interrupted':
      return connected
        ? `reading on shortly: ${reading.why}`
        : 'no agent answers; reading goes on when one does';
    case 'failed':
      return reading.why;
    default:
      return reading satisfies never;
  }
}
