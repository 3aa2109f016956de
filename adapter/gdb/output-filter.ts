/** What gdb prints for people: most of it repeats what the editor shows, some of it must be seen. */

/** Around what a log point says. */
export const LOG_BEGIN = '\u0002';
export const LOG_END = '\u0003';
/** A log point's text is cut off at this length: it is said at once, not kept. */
const MAX_LOG = 64 * 1024;

export class GdbOutputFilter {
  /** Console commands of the person that are under way: what gdb says then is their answer. */
  private asked = 0;
  private log: string | undefined;
  /** The program's path. */
  program: string | undefined;
  private complaints = '';
  /** The signal that a catchpoint has stopped the program for: MI does not tell of it. */
  private signal: { bkptno: string; 'signal-name': string } | undefined;
  /** Called with a child's number when the program has forked and gdb let the child go. */
  forked: (child: number) => void = () => {};
  /** The program's path, if it has no debug information. */
  withoutSymbols: string | undefined;

  /** @param channel `stdout`: the console stream; `log`: gdb's own messages; `stderr`: what it wrote to stderr */
  take(text: string, channel: string): string | undefined {
    if (this.log !== undefined || text.startsWith(LOG_BEGIN)) return this.takeLog(text);
    this.noteSymbols(text);
    this.noteFork(text);
    const [, number, signal] = /^Catchpoint (\d+) \(signal (SIG\w+)\)/m.exec(text) ?? [];
    if (number && signal) this.signal = { bkptno: number, 'signal-name': signal };
    if (channel === 'log') this.complaints = (this.complaints + text).slice(-MAX_LOG);
    if (this.isAnswering && channel !== 'log') return text;
    return text.startsWith('warning: ') ? text : undefined;
  }

  /** A person's command is under way. */
  get isAnswering(): boolean {
    return this.asked > 0;
  }

  async during<T>(command: () => Promise<T>): Promise<T> {
    this.asked++;
    try {
      return await command();
    } finally {
      this.asked--;
    }
  }

  takeSignal(): { bkptno: string; 'signal-name': string } | undefined {
    const { signal } = this;
    this.signal = undefined;
    return signal;
  }

  /** gdb's own messages since the last time. */
  takeComplaints(): string {
    const { complaints } = this;
    this.complaints = '';
    return complaints;
  }

  private takeLog(text: string): string | undefined {
    const log = (this.log ?? '') + text.replace(LOG_BEGIN, '');
    const end = log.indexOf(LOG_END);
    this.log = end < 0 && log.length < MAX_LOG ? log : undefined;
    if (this.log !== undefined) return undefined;
    const said = end < 0 ? log : log.slice(0, end);
    return `${said}\n`;
  }

  /** A vfork's child only makes ready for another program. */
  private noteFork(text: string): void {
    const child = /^\[Detaching after fork from child (?:process |Thread \d+\.)(\d+)/.exec(text)?.[1];
    if (child !== undefined) this.forked(Number(child));
  }

  /** The program comes first, its libraries after it. */
  private noteSymbols(text: string): void {
    this.program ??= /^Reading symbols from (.+)\.\.\.$/m.exec(text)?.[1];
    const none = /\(No debugging symbols found in (.+)\)/.exec(text)?.[1];
    if (none !== undefined && none === this.program) this.withoutSymbols = none;
  }
}
