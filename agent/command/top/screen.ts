/** A terminal as a screen of lines, of which only those are written that have changed. */
import type { WindowSize } from '../../api/model';
import { write } from '../output';
import { windowSize } from '../terminal';

/** The other screen without a cursor, and back (xterm's control sequences). */
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[2J';
const LEAVE = '\x1b[0m\x1b[?25h\x1b[?1049l';

export class Screen {
  #shown: string[] = [];
  readonly #resized = () => {
    this.#shown = [];
    this.changed();
  };

  /** @param changed to be drawn again */
  constructor(
    private readonly typed: (text: string) => void,
    private readonly changed: () => void,
  ) {}

  get size(): WindowSize {
    return windowSize();
  }

  async enter(): Promise<void> {
    const { stdin, stdout } = process;
    stdin.setRawMode(true);
    stdin.setEncoding('utf8').on('data', this.typed).resume();
    stdout.on('resize', this.#resized);
    await write(ENTER);
  }

  async leave(): Promise<void> {
    const { stdin, stdout } = process;
    stdin.off('data', this.typed).pause();
    stdin.setRawMode(false);
    stdout.off('resize', this.#resized);
    await write(LEAVE);
  }

  draw(lines: string[]): void {
    const fresh = lines.map((line, at) =>
      line === this.#shown[at] ? '' : `\x1b[${at + 1};1H${line}\x1b[0m\x1b[K`,
    );
    this.#shown = lines;
    void write(fresh.join(''));
  }
}
