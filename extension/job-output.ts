/** What a job prints, before one of the editor's terminals has it. */

const ESC = '\x1b';
const BEL = '\x07';
/** Characters of one command; those for colours are far shorter. */
const LONGEST_COMMAND = 1024;

/**
 * Operating system commands (ECMA-48, 8.3.89; xterm's ctlseqs) that change or ask for colours. By others a program
 * would read the clipboard and write it (52), make links of which only the text is seen (8), show progress, or tell
 * the editor which commands a shell had run (633): a terminal shows what a job prints, on whosever behalf it runs.
 */
const COLOURS = /^(?:4|10|11|12|104|110|111|112)(?:;[ -~]*)?$/;

/** Takes all but those from a stream of text, which may be cut anywhere. */
export class JobOutput {
  #at: 'text' | 'escape' | 'command' = 'text';
  #command = '';

  /** The part that may be shown; an escape at its end waits for what follows. */
  take(text: string): string {
    let shown = '';
    for (const sign of text) shown += this.#step(sign);
    return shown;
  }

  #step(sign: string): string {
    if (this.#at === 'command') return this.#inCommand(sign);
    if (this.#at === 'escape') return this.#afterEscape(sign);
    if (sign === ESC) this.#at = 'escape';
    else if (sign === '\x9d') this.#begin();
    else return sign;
    return '';
  }

  #afterEscape(sign: string): string {
    if (sign === ESC) return ESC;
    // A terminal carries these out amid a sequence, which then goes on.
    if (isControl(sign) && !ABORTS.has(sign)) return sign;
    this.#at = 'text';
    // The eight-bit form of a sequence's beginning: the one that was begun is over.
    if (isUpperControl(sign)) return this.#step(sign);
    if (sign !== ']') return ESC + sign;
    this.#begin();
    return '';
  }

  #inCommand(sign: string): string {
    if (sign === BEL || sign === '\x9c') return this.#end();
    if (sign === ESC) {
      const shown = this.#end();
      this.#at = 'escape';
      return shown;
    }
    if (ABORTS.has(sign) || isUpperControl(sign)) {
      this.#command = '';
      this.#at = 'text';
      return this.#step(sign);
    }
    if (this.#command.length < LONGEST_COMMAND) this.#command += sign;
    return '';
  }

  #begin(): void {
    this.#command = '';
    this.#at = 'command';
  }

  #end(): string {
    this.#at = 'text';
    const command = this.#command;
    return command.length < LONGEST_COMMAND && COLOURS.test(command) ? `${ESC}]${command}${BEL}` : '';
  }
}

/** CAN and SUB, which end any sequence. */
const ABORTS = new Set(['\x18', '\x1a']);
const isControl = (sign: string) => sign < ' ' || sign === '\x7f';
const isUpperControl = (sign: string) => sign >= '\x80' && sign <= '\x9f';
