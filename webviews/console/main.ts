/** A job's console: what it printed, byte for byte, in a terminal. */
import '@xterm/xterm/css/xterm.css';
import './console.css';
import { FitAddon } from '@xterm/addon-fit';
import { Terminal } from '@xterm/xterm';
import { element } from '../elements';
import { meetHost } from '../host';
import { ConsoleState, ToConsole } from '../messages';
import { onThemeChange } from '../theme';
import { Head } from './head';
import { terminalFont, terminalTheme } from './look';
import { lendNonce } from './nonce';

/** Lines that can be scrolled back to: some megabytes of memory, and more than anyone reads. */
const SCROLLBACK_LINES = 10_000;
const OSC_LINK = 8;

lendNonce();
const head = new Head();
const frame = element('main', { class: 'screen', 'aria-label': 'Output of the job' });
document.body.append(head.root, frame);

const terminal = new Terminal({
  ...terminalFont(),
  theme: terminalTheme(),
  scrollback: SCROLLBACK_LINES,
  // What a program prints has ends of line, and no terminal driver that would make them returns as well.
  convertEol: true,
  disableStdin: true,
  cursorBlink: false,
  cursorStyle: 'bar',
  cursorInactiveStyle: 'none',
  minimumContrastRatio: 4.5,
  // VS Code says on the body whether one is in use; without one it would be a waste.
  screenReaderMode: document.body.classList.contains('vscode-using-screen-reader'),
});
const fit = new FitAddon();
terminal.loadAddon(fit);
terminal.open(frame);
// A program's links (OSC 8) have an address that can't be seen before it is followed: their text is text.
terminal.parser.registerOscHandler(OSC_LINK, () => true);
terminal.attachCustomKeyEventHandler((event) => {
  if (event.type === 'keydown') scrollBy(event);
  // Nothing is typed into it: every key is the page's, and Tab goes on to its next part.
  return false;
});

let reader = 0;
let job: string | undefined;
const host = meetHost({ messages: ToConsole, state: ConsoleState, onMessage: receive });
/** Where it was scrolled to before it was hidden: found again as soon as enough lines are there. */
let wanted = host.kept?.line ?? null;

function receive(message: ToConsole): void {
  switch (message.type) {
    case 'console':
      job = message.id;
      head.show(message);
      keep();
      return;
    case 'begin':
      reader = message.reader;
      terminal.reset();
      return;
    case 'bytes': {
      const { offset, bytes } = message;
      if (message.reader !== reader) return;
      terminal.write(bytes, () => {
        host.send({ type: 'taken', reader: message.reader, offset: offset + bytes.length });
        scrollBack();
      });
      return;
    }
    default:
      message satisfies never;
  }
}

function scrollBy({ key, ctrlKey, metaKey, altKey }: KeyboardEvent): void {
  if (ctrlKey || metaKey || altKey) return;
  if (key === 'PageUp') terminal.scrollPages(-1);
  else if (key === 'PageDown') terminal.scrollPages(1);
  else if (key === 'ArrowUp') terminal.scrollLines(-1);
  else if (key === 'ArrowDown') terminal.scrollLines(1);
  else if (key === 'Home') terminal.scrollToTop();
  else if (key === 'End') terminal.scrollToBottom();
}

function scrollBack(): void {
  if (wanted === null || terminal.buffer.active.baseY <= wanted) return;
  terminal.scrollToLine(wanted);
  wanted = null;
}

function keep(): void {
  const { baseY, viewportY } = terminal.buffer.active;
  if (job) host.keep({ job, line: wanted ?? (viewportY < baseY ? viewportY : null) });
}

terminal.onScroll(keep);
frame.addEventListener('wheel', () => {
  // Who scrolls has chosen another place.
  wanted = null;
});
new ResizeObserver(() => fit.fit()).observe(frame);
onThemeChange(() => {
  Object.assign(terminal.options, terminalFont());
  terminal.options.theme = terminalTheme();
  fit.fit();
});
void document.fonts.ready.then(() => fit.fit());
