/** The process that opens and reads a job's files as the job's user (helper/vfile.c), asked one thing at a time. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

const ASK_BYTES = 24;
const ANSWER_BYTES = 8;

const WHAT = { open: 1, close: 2, read: 3, stat: 4, readlink: 5 } as const;

/** `EIO`: the process has ended. */
export class FileError extends Error {
  /** @param errno the kernel's number (errno(3)) */
  constructor(readonly errno: number) {
    super(`errno ${errno}`);
  }
}
const EIO = 5;

export interface Ask {
  what: keyof typeof WHAT;
  /** As an `open` has answered it. */
  file?: number;
  path?: Buffer;
  /** Bytes to read. */
  size?: number;
  offset?: bigint;
}

export interface Answer {
  result: number;
  data: Buffer;
}

interface Waiting {
  resolve(answer: Answer): void;
  reject(error: FileError): void;
}

export class FileReader {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  #waiting: Waiting | null = null;
  #bytes = Buffer.alloc(0);
  /** It has ended. */
  gone = false;
  readonly closed: Promise<unknown>;

  constructor([program, ...args]: string[]) {
    this.#child = spawn(program!, args, {
      stdio: ['pipe', 'pipe', 'ignore'],
      detached: true,
      cwd: '/',
      env: {},
    });
    this.closed = new Promise<null>((resolve) => {
      this.#child.once('close', () => resolve(null));
      this.#child.once('error', () => resolve(null));
    }).then(() => this.#end());
    this.#child.stdin.on('error', () => {});
    this.#child.stdout.on('data', (chunk: Buffer) => this.#take(chunk));
  }

  /** One at a time: EIO while the one before has not been answered, or after the end. @throws FileError */
  ask({ what, file = 0, path = Buffer.alloc(0), size = path.length, offset = 0n }: Ask): Promise<Answer> {
    if (this.gone || this.#waiting) return Promise.reject(new FileError(EIO));
    const head = Buffer.alloc(ASK_BYTES);
    head.writeUInt32LE(WHAT[what], 0);
    head.writeInt32LE(file, 4);
    head.writeUInt32LE(size, 8);
    head.writeBigUInt64LE(offset, 16);
    const answer = new Promise<Answer>((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
    this.#child.stdin.write(Buffer.concat([head, path]));
    return answer;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #take(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    if (this.#bytes.length < ANSWER_BYTES) return;
    const [result, size] = [this.#bytes.readInt32LE(0), this.#bytes.readUInt32LE(4)];
    if (this.#bytes.length < ANSWER_BYTES + size) return;
    const data = this.#bytes.subarray(ANSWER_BYTES, ANSWER_BYTES + size);
    this.#bytes = this.#bytes.subarray(ANSWER_BYTES + size);
    const waiting = this.#waiting;
    this.#waiting = null;
    if (result < 0) waiting?.reject(new FileError(-result));
    else waiting?.resolve({ result, data });
  }

  #end(): void {
    this.gone = true;
    this.#waiting?.reject(new FileError(EIO));
    this.#waiting = null;
  }
}
