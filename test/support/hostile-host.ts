/** The host's end of a home's files, without a kernel: sends the server any request that it likes. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** The hello and the frames of agent/native/homefs/wire.c. */
const HELLO_BYTES = 96;
const [BYTES, ACK] = [1, 2];
const ACK_EVERY = 512 * 1024;
const MAX_FRAME = 256 * 1024;
const HEADER_BYTES = 40;
const ANSWER_BYTES = 16;

/** <linux/fuse.h> */
export const FUSE = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  MKNOD: 8,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  RELEASE: 18,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  CREATE: 35,
  BATCH_FORGET: 42,
  READDIRPLUS: 44,
} as const;

export interface Answer {
  /** A negative errno, or 0. */
  error: number;
  body: Buffer;
}

export const u32 = (...values: number[]) => {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [nth, value] of values.entries()) bytes.writeUInt32LE(value >>> 0, 4 * nth);
  return bytes;
};
export const u64 = (...values: (number | bigint)[]) => {
  const bytes = Buffer.alloc(8 * values.length);
  for (const [nth, value] of values.entries())
    bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), 8 * nth);
  return bytes;
};
export const name = (text: string) => Buffer.from(`${text}\0`);

/** FUSE_NOTIFY_INVAL_INODE */
const NOTIFY_INVAL_INODE = 2;

export class HostileHost {
  /** The files, by their numbers, of which the server has said that others have changed them. */
  readonly changed: bigint[] = [];
  readonly #waiting = new Map<bigint, (answer: Answer) => void>();
  #last = 0n;
  #frames = Buffer.alloc(0);
  #answers = Buffer.alloc(0);
  #received = 0;
  #told = 0;
  /** Whether the server has cut the connection. */
  readonly closed: Promise<unknown>;

  private constructor(private readonly socket: Socket) {
    this.closed = once(socket, 'close');
    socket.on('error', () => {});
    socket.on('data', (chunk) => this.#take(chunk));
  }

  static async join(path: string): Promise<HostileHost> {
    const socket = connect(path);
    await once(socket, 'readable');
    const theirs = socket.read(HELLO_BYTES) as Buffer;
    const ours = Buffer.from(theirs);
    u64(theirs.readBigUInt64LE(88), theirs.readBigUInt64LE(72), theirs.readBigUInt64LE(72)).copy(ours, 72);
    socket.write(ours);
    return new HostileHost(socket);
  }

  /** Bytes as they are, in frames. */
  send(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += MAX_FRAME) {
      const part = bytes.subarray(at, at + MAX_FRAME);
      this.socket.write(Buffer.concat([u32(BYTES, part.length), part]));
    }
  }

  /** A whole request; `length` as its header says it, which may be a lie. */
  static request(opcode: number, node: number | bigint, body: Buffer, unique = 0n, length?: number): Buffer {
    const size = length ?? HEADER_BYTES + body.length;
    return Buffer.concat([u32(size, opcode), u64(unique, node), u32(0, 0, 0, 0), body]);
  }

  ask(opcode: number, node: number | bigint, ...body: Buffer[]): Promise<Answer> {
    const unique = ++this.#last;
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(unique, resolve));
    this.send(HostileHost.request(opcode, node, Buffer.concat(body), unique));
    return Promise.race([
      answered,
      this.closed.then(() => {
        throw new Error('the server has ended');
      }),
    ]);
  }

  leave(): void {
    this.socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#frames = Buffer.concat([this.#frames, chunk]);
    for (;;) {
      if (this.#frames.length < 8) break;
      const [kind, size] = [this.#frames.readUInt32LE(0), this.#frames.readUInt32LE(4)];
      if (this.#frames.length < 8 + size) break;
      const body = this.#frames.subarray(8, 8 + size);
      this.#frames = this.#frames.subarray(8 + size);
      if (kind === BYTES) this.#heard(body);
    }
    if (this.#received - this.#told < ACK_EVERY) return;
    this.#told = this.#received;
    this.socket.write(Buffer.concat([u32(ACK, 8), u64(this.#received)]));
  }

  #heard(bytes: Buffer): void {
    this.#received += bytes.length;
    this.#answers = Buffer.concat([this.#answers, bytes]);
    for (;;) {
      if (this.#answers.length < ANSWER_BYTES) return;
      const size = this.#answers.readUInt32LE(0);
      if (this.#answers.length < size) return;
      const unique = this.#answers.readBigUInt64LE(8);
      const answer = {
        error: this.#answers.readInt32LE(4),
        body: this.#answers.subarray(ANSWER_BYTES, size),
      };
      this.#answers = this.#answers.subarray(size);
      if (unique === 0n && answer.error === NOTIFY_INVAL_INODE)
        this.changed.push(answer.body.readBigUInt64LE(0));
      this.#waiting.get(unique)?.(answer);
      this.#waiting.delete(unique);
    }
  }
}
