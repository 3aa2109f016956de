/**
 * What a daemon says of its work: a JSON object a line on its standard output. Where that is a file of the
 * daemon's own, the daemon keeps it within bounds, with all that others (Node.js itself) have written there.
 */
import { copyFileSync, fstatSync, ftruncateSync, readlinkSync, writeSync } from 'node:fs';
import { basename } from 'node:path';

export const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type Level = (typeof LEVELS)[number];

/** What a line is about. Names are the same everywhere: `job`, `epoch`, `peer`, `user`, `role`, `pid`. */
export type Fields = Record<string, string | number | boolean | null | undefined>;

export interface Log {
  /** At the level `info`. */
  (message: string, fields?: Fields): void;
  debug(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  /** A log whose lines have these fields too. */
  with(fields: Fields): Log;
}

/** Of a log and of the one before it: some hundred thousand lines, weeks of work; too little to fill a disk. */
export const LOG_BYTES = 16 * 1024 * 1024;
/** How often a daemon that says nothing itself looks at what is in its file. */
const LOOK_MS = 60_000;
/** Of a text in a line: what a stranger has sent, or a stack, is cut. */
const MOST_CHARACTERS = 4_096;

const STDOUT = 1;
const STDERR = 2;

/** A log that hands its lines to `write`, without their newlines. */
export function logTo(write: (line: string) => void, level: () => Level = () => 'info'): Log {
  const make = (given: Fields): Log => {
    const say =
      (at: Level) =>
      (message: string, fields: Fields = {}) => {
        if (LEVELS.indexOf(at) < LEVELS.indexOf(level())) return;
        const entry = { time: new Date().toISOString(), level: at, ...given, ...fields, msg: message };
        write(JSON.stringify(entry, (_, value) => (typeof value === 'string' ? shortened(value) : value)));
      };
    const others = { debug: say('debug'), warn: say('warn'), error: say('error') };
    return Object.assign(say('info'), others, { with: (fields: Fields) => make({ ...given, ...fields }) });
  };
  return make({});
}

const shortened = (text: string) =>
  text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}… (${text.length} characters)` : text;

/** The log of a daemon, on its standard output; `file` is its name where it is the daemon's own. */
export class DaemonLog {
  /** What is below it is not said. */
  level: Level = 'info';
  readonly log: Log;

  constructor(
    private readonly file: string,
    private readonly mostBytes = LOG_BYTES,
  ) {
    this.log = logTo(
      (line) => this.#write(line),
      () => this.level,
    );
    this.#keepShort();
    setInterval(() => this.#keepShort(), LOOK_MS).unref();
  }

  /** A reader that has gone or is slow, or a full disk, is no reason to stop: the line is lost. */
  #write(line: string): void {
    try {
      writeSync(STDOUT, `${line}\n`);
    } catch {
      return;
    }
    this.#keepShort();
  }

  /** Other writers append, too: the file is emptied in place, not exchanged. */
  #keepShort(): void {
    try {
      const stat = fstatSync(STDOUT);
      if (!stat.isFile() || stat.size <= this.mostBytes) return;
      const path = readlinkSync(`/proc/self/fd/${STDOUT}`);
      if (basename(path) !== this.file) return;
      try {
        copyFileSync(path, `${path}.1`);
      } finally {
        ftruncateSync(STDOUT);
      }
    } catch {
      // There is no room for a copy: what was said before is lost.
    }
  }
}

/** The last message of a daemon that could not start: in its log, and as plain text on its standard error. */
export function endWith(log: Log, { message }: Error): never {
  log.error(message);
  const [out, err] = [fstatSync(STDOUT), fstatSync(STDERR)];
  if (out.ino !== err.ino || out.dev !== err.dev) writeSync(STDERR, `${message}\n`);
  process.exit(1);
}

/** An error that ends the daemon, or that nothing else handles, is in the log. */
export function logFailures(log: Log): void {
  const stackOf = (error: unknown) =>
    error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.on('unhandledRejection', (error) => log.error(`unhandled: ${stackOf(error)}`));
  process.on('uncaughtException', (error) => {
    log.error(`uncaught: ${stackOf(error)}`);
    process.exit(1);
  });
}

/** What a line of a daemon's log says; the line itself where it is not one of ours. */
export function messageOf(line: string): string {
  try {
    const { msg } = JSON.parse(line) as { msg?: unknown };
    return typeof msg === 'string' ? msg : line;
  } catch {
    return line;
  }
}
