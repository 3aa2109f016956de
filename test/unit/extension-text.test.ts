/** Text of others in the editor: what is made of it, and that nothing goes around that. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Terminal } from '@xterm/xterm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LONGEST_TEXT, markdown, plain } from '../../agent/api/plain';
import { printable } from '../../agent/api/text';
import { JobOutput } from '../../extension/job-output';
import { inProject } from '../support/project';

/** VS Code's own: linkedText.ts (messages), iconLabels.ts (labels). */
const LINK = /\[([^\]]+)\]\(((?:https?:\/\/|command:|file:)[^)\s]+)(?: (["'])(.+?)(\3))?\)/gi;
const ICON = /(\\)?\$\([A-Za-z0-9-]+(?:~[A-Za-z]+)?\)/g;
/** What can't be seen, or turns what is beside it. */
const UNSEEN = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;

const texts = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 3 * LONGEST_TEXT }),
  fc
    .array(fc.constantFrom('[', ']', '(', ')', '$', 'zap', 'command:x', '\u2060', '\u202e', '\\', '\n'))
    .map((parts) => parts.join('')),
);

describe('a text that is made plain', () => {
  it.each([
    ['heat', 'heat'],
    ['[l](command:x)', '[l]\u2060(command:x)'],
    ['$(zap)', '$\u2060(zap)'],
    ['\\$(zap)', '\\$\u2060(zap)'],
    ['a\u202eb\nc\x1b[m', 'a\\u{202e}b\\nc\\x1b[m'],
    ['a\u200bb\u00adc\u2060d', 'a\\u{200b}b\\xadc\\u{2060}d'],
    ['\ud800', '\\u{d800}'],
    ['naïve 模型 می‌خواهم ❤️ 👩‍🚀', 'naïve 模型 می‌خواهم ❤️ 👩‍🚀'],
  ])('%j reads %j', (text, reads) => {
    expect(plain(text)).toBe(reads);
  });

  it('has no link, no icon, one line, an end, and stays what it is', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const made = plain(text);
        expect(made).not.toMatch(LINK);
        expect(made).not.toMatch(ICON);
        expect(made).not.toMatch(UNSEEN);
        expect(made.length).toBeLessThanOrEqual(LONGEST_TEXT);
        expect(plain(made)).toBe(made);
      }),
    );
  });

  it('is cut where it is long, never amid a character', () => {
    expect(plain('x'.repeat(LONGEST_TEXT))).toBe('x'.repeat(LONGEST_TEXT));
    expect(plain('👩'.repeat(LONGEST_TEXT))).toMatch(/^(👩)+…$/u);
  });

  it('costs no more for much of it', () => {
    const text = '](\u202e'.repeat(1_000_000);
    expect(plain(text).length).toBeLessThanOrEqual(LONGEST_TEXT);
    expect(markdown(text).length).toBeLessThanOrEqual(20 * LONGEST_TEXT);
  });

  it('is Markdown without markup', () => {
    expect(markdown('a b')).toBe('a&#32;b');
    fc.assert(
      fc.property(texts, (text) => {
        const made = markdown(text);
        expect(made).toMatch(/^(?:[\p{L}\p{N}]|&#\d+;)*$/u);
        const back = made.replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)));
        if (text.length <= LONGEST_TEXT) expect(back).toBe(printable(text));
      }),
    );
  });
});

describe('the extension', () => {
  const sources = readdirSync(inProject('extension'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => ({ file, text: readFileSync(join(inProject('extension'), file), 'utf8') }));
  /** Of VS Code's window, what shows no text that it is given. */
  const HARMLESS = [
    'activeTextEditor',
    'onDidCloseTerminal',
    'registerWebviewPanelSerializer',
    'showOpenDialog',
  ];
  const uses = (text: string) => [...text.matchAll(/\bwindow\.(\w+)/g)].map(([, name]) => name!);

  it('tells and asks through window.ts alone', () => {
    for (const { file, text } of sources.filter(({ file }) => file !== 'window.ts')) {
      expect(
        uses(text).filter((name) => !HARMLESS.includes(name)),
        file,
      ).toEqual([]);
      expect(text, file).not.toMatch(/\bwindow as\b|= (vscode\.)?window[;,)]/);
    }
    expect(uses(sources.find(({ file }) => file === 'window.ts')!.text).length).toBeGreaterThan(5);
  });

  it('makes rows and their Markdown in the view alone, and trusts none of it', () => {
    for (const { file, text } of sources) {
      expect(text, file).not.toMatch(/isTrusted|supportThemeIcons|supportHtml/);
      if (file !== join('tree', 'view.ts')) expect(text, file).not.toMatch(/MarkdownString|new TreeItem/);
    }
  });

  it('has no markup in its panels but the page itself', () => {
    const pages = readdirSync(inProject('webviews'), { recursive: true, encoding: 'utf8' });
    for (const file of pages.filter((name) => name.endsWith('.ts'))) {
      const text = readFileSync(join(inProject('webviews'), file), 'utf8');
      expect(text, file).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser/);
      if (file !== 'elements.ts')
        expect(text, file).not.toMatch(/textContent = (?!day\()|\.title = |\.href = /);
    }
  });
});

describe('what a job prints into a terminal of the editor’s', () => {
  const shown = (...pieces: string[]) => {
    const output = new JobOutput();
    return pieces.map((piece) => output.take(piece)).join('');
  };
  const COLOURS = [4, 10, 11, 12, 104, 110, 111, 112];
  const COLOURED = '\x1b[1;31mred\x1b[0m 你好\r\n\x1b[2J\x1b[?1049h\x1bM\x1b(0';

  /** The commands that a terminal finds in it, by the parser that VS Code's have. */
  async function commandsIn(text: string): Promise<number[]> {
    const terminal = new Terminal({ allowProposedApi: true });
    const found: number[] = [];
    for (let number = 0; number < 2_000; number++)
      terminal.parser.registerOscHandler(number, () => found.push(number) > 0);
    await new Promise<void>((resolve) => terminal.write(text, resolve));
    terminal.dispose();
    return found;
  }

  it.each([
    ['the clipboard, written', '\x1b]52;c;c2VjcmV0\x07', 52],
    ['the clipboard, asked for', '\x1b]52;c;?\x1b\\', 52],
    ['commands by C1 controls', '\x9d52;c;?\x9c', 52],
    ['commands with controls amid the sequence', '\x1b\n\x00]52;c;?\x07', 52],
    ['commands by C1 controls after an escape', '\x1b\x9d52;c;?\x07', 52],
    ['commands begun amid another', '\x1b]10;#fff\x9d52;c;?\x07', 52],
    ['commands begun amid another by an escape', '\x1b]10;#fff\x1b]52;c;?\x07', 52],
    ['links', '\x1b]8;;command:godwit.doctor\x07click\x1b]8;;\x07', 8],
    ['a title', '\x1b]0;root@host\x07\x1b]2;root@host\x07', 0],
    ['a folder', '\x1b]7;file:///etc\x07', 7],
    ['progress', '\x1b]9;4;1;50\x07', 9],
    ['a shell’s commands', '\x1b]133;C\x07\x1b]1337;SetMark\x07\x1b]633;E;rm -rf /\x07', 633],
    ['numbers that begin like a colour’s', '\x1b]1052;c;?\x07', 1052],
  ])('has no %s', async (_, sequence, number) => {
    expect(await commandsIn(sequence)).toContain(number);
    const made = await commandsIn(shown(`a${sequence}`, 'b'));
    expect(made.filter((found) => !COLOURS.includes(found))).toEqual([]);
  });

  it('has colours, asked for and set, and all that is no such command', () => {
    expect(shown(COLOURED)).toBe(COLOURED);
    for (const colours of ['\x1b]11;?\x07', '\x1b]4;1;#ff0000\x07', '\x1b]104\x07'])
      expect(shown(`${colours}x`)).toBe(`${colours}x`);
    expect(shown('\x1b]11;?\x1b\\x')).toBe('\x1b]11;?\x07\x1b\\x');
  });

  it('keeps little of a command that has no end', () => {
    const output = new JobOutput();
    output.take('\x1b]11;');
    for (let piece = 0; piece < 1_000; piece++) expect(output.take('A'.repeat(10_000))).toBe('');
    expect(output.take('\x07shown')).toBe('shown');
  });

  it('is the same however it is cut, and has colours at most', async () => {
    const signs = [
      '\x1b',
      ']',
      '52;c;?',
      '11;?',
      '\x07',
      '\x1b\\',
      '\x9d',
      '\x9c',
      '\x90',
      '\x18',
      '\n',
      ' ',
    ];
    const parts = fc.array(fc.constantFrom(COLOURED, ...signs), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(parts, fc.nat(), async (all, at) => {
        const text = all.join('');
        const cut = at % (text.length + 1);
        expect(shown(text.slice(0, cut), text.slice(cut))).toBe(shown(text));
        const made = await commandsIn(`${shown(text)}\x07`);
        expect(made.filter((found) => !COLOURS.includes(found))).toEqual([]);
      }),
    );
  });
});
