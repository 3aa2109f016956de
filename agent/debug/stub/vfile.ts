/**
 * The job's files for its debugger: `vFile` requests (GDB manual, "Host I/O Packets") answered for reading only, by a
 * process of the job's user in the job's root (file-reader.ts). Open files are known by their path, so that they survive
 * a move, and that process's end.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Owner, readerArgv } from '../attach/tools';
import { escapeBinary } from '../rsp/codec';
import { MAX_FILES } from '../state/parked';
import { type Answer, type Ask, FileError, FileReader } from './file-reader';

/** Bytes of a path with its final zero (limits.h). */
const PATH_MAX = 4096;
/** Bytes of one answer; the debugger asks for less than a packet. */
const MAX_READ = 0x4000;
/** Milliseconds for one answer: the files may be another node's, which may not answer for a while. */
const FILE_LIMIT = 20_000;

/** errno(3): those that mean something here. */
const [EIO, EBADF, EINVAL, EMFILE, EROFS, ENAMETOOLONG, ELOOP] = [5, 9, 22, 24, 30, 36, 40];
/** Linux's numbers that GDB's manual ("Errno Values") has too, as they are. */
const SAME = new Set([1, 2, 4, 9, 13, 14, 16, 17, 19, 20, 21, 22, 23, 24, 27, 28, 29, 30]);
const OTHERS: Record<number, number> = { [ENAMETOOLONG]: 91, [ELOOP]: EINVAL };
const UNKNOWN = 9999;
/** GDB manual, "Open Flags": write-only, read-write, append, create, truncate. */
const WRITING = 0x1 | 0x2 | 0x8 | 0x200 | 0x400;

const failure = (error: unknown): string => {
  const errno = error instanceof FileError ? error.errno : EIO;
  return `F-1,${(SAME.has(errno) ? errno : (OTHERS[errno] ?? UNKNOWN)).toString(16)}`;
};
const success = (value: number, data?: Buffer): string =>
  `F${value.toString(16)}${data === undefined ? '' : `;${escapeBinary(data)}`}`;

const PATH = '((?:[0-9a-f]{2})*)';
const NUMBER = '([0-9a-f]{1,8})';
const OFFSET = '([0-9a-f]{1,16})';
const SHAPES = {
  setfs: new RegExp(`^${NUMBER}$`, 'i'),
  open: new RegExp(`^${PATH},${NUMBER},${NUMBER}$`, 'i'),
  close: new RegExp(`^${NUMBER}$`, 'i'),
  pread: new RegExp(`^${NUMBER},${NUMBER},${OFFSET}$`, 'i'),
  fstat: new RegExp(`^${NUMBER}$`, 'i'),
  readlink: new RegExp(`^${PATH}$`, 'i'),
} as const;

export interface JobFilesOptions {
  /** The program godwit-helper. */
  helper: string;
  owner: Owner;
  /** The job's PID 1 as this node numbers it: whose root it is. */
  init: number;
}

export class JobFiles {
  #reader: FileReader | null = null;
  /** Files that the reader has open, by the handles that the client knows. */
  readonly #open = new Map<number, number>();

  /** `paths`: the client's open files, kept up to date. */
  constructor(
    private readonly options: JobFilesOptions,
    private readonly paths: Record<string, string>,
  ) {}

  /** The answer to a `vFile:` packet; empty for an operation that is not known here. */
  async answer(packet: string): Promise<string> {
    const [, operation = '', rest = ''] = /^vFile:([a-z]{1,16}):([\s\S]*)$/.exec(packet) ?? [];
    if (operation === 'pwrite' || operation === 'unlink') return failure(new FileError(EROFS));
    if (!(operation in SHAPES)) return '';
    const fields = SHAPES[operation as keyof typeof SHAPES].exec(rest);
    if (!fields) return failure(new FileError(EINVAL));
    try {
      return await this.#answer(operation as keyof typeof SHAPES, fields.slice(1));
    } catch (error) {
      return failure(error);
    }
  }

  async #answer(
    operation: keyof typeof SHAPES,
    [first = '', second = '', third = '']: string[],
  ): Promise<string> {
    const number = Number.parseInt(first, 16);
    switch (operation) {
      case 'setfs':
        return success(0);
      case 'open':
        return this.#openFile(pathOf(first), Number.parseInt(second, 16));
      case 'close':
        return this.#closeFile(number);
      case 'pread':
        return this.#read(number, Number.parseInt(second, 16), BigInt(`0x${third}`));
      case 'fstat':
        return this.#stat(number);
      case 'readlink': {
        const { result, data } = await this.#ask({ what: 'readlink', path: pathOf(first) });
        return success(result, data);
      }
    }
  }

  /** Closes this end's files; the client's handles stay valid. */
  close(): void {
    this.#reader?.kill();
    this.#reader = null;
  }

  async #openFile(path: Buffer, flags: number): Promise<string> {
    if (flags & WRITING) throw new FileError(EROFS);
    if (Object.keys(this.paths).length >= MAX_FILES) throw new FileError(EMFILE);
    const { result: file } = await this.#ask({ what: 'open', path });
    let handle = 0;
    while (`${handle}` in this.paths) handle++;
    this.paths[`${handle}`] = path.toString('latin1');
    this.#open.set(handle, file);
    return success(handle);
  }

  /** A handle that came along from another node is opened when it is used. */
  async #file(handle: number): Promise<number> {
    const path = this.paths[`${handle}`];
    if (path === undefined) throw new FileError(EBADF);
    const known = this.#reader?.gone === false ? this.#open.get(handle) : undefined;
    if (known !== undefined) return known;
    const { result: file } = await this.#ask({ what: 'open', path: Buffer.from(path, 'latin1') });
    this.#open.set(handle, file);
    return file;
  }

  async #closeFile(handle: number): Promise<string> {
    if (!(`${handle}` in this.paths)) throw new FileError(EBADF);
    const file = this.#reader?.gone === false ? this.#open.get(handle) : undefined;
    delete this.paths[`${handle}`];
    this.#open.delete(handle);
    if (file !== undefined) await this.#ask({ what: 'close', file }).catch(() => {});
    return success(0);
  }

  async #read(handle: number, count: number, offset: bigint): Promise<string> {
    if (offset >= 1n << 63n) throw new FileError(EINVAL);
    const file = await this.#file(handle);
    const { result, data } = await this.#ask({ what: 'read', file, size: Math.min(count, MAX_READ), offset });
    return success(result, data);
  }

  async #stat(handle: number): Promise<string> {
    const { data } = await this.#ask({ what: 'stat', file: await this.#file(handle) });
    const stat = structStat(data);
    return success(stat.length, stat);
  }

  /** One that does not answer in time is ended; until it has, nothing more is begun. @throws FileError */
  async #ask(ask: Ask): Promise<Answer> {
    if (this.#reader === null || this.#reader.gone) {
      const { helper, owner, init } = this.options;
      this.#reader = new FileReader(readerArgv(helper, owner, init));
      this.#open.clear();
    }
    const reader = this.#reader;
    const late = new AbortController();
    const limit = sleep(FILE_LIMIT, null, { signal: late.signal }).catch(() => null);
    const answer = await Promise.race([reader.ask(ask), limit]).finally(() => late.abort());
    if (answer !== null) return answer;
    reader.kill();
    throw new FileError(EIO);
  }
}

function pathOf(hex: string): Buffer {
  const path = Buffer.from(hex, 'hex');
  if (path.length >= PATH_MAX) throw new FileError(ENAMETOOLONG);
  if (path[0] !== '/'.charCodeAt(0) || path.includes(0)) throw new FileError(EINVAL);
  return path;
}

/** Numbers of 64 bits: dev, ino, mode, nlink, uid, gid, rdev, size, blksize, blocks, atime, mtime, ctime (vfile.c). */
const FIELDS = 13;

/** GDB manual, "struct stat": big-endian, 64 bytes. */
function structStat(found: Buffer): Buffer {
  if (found.length !== 8 * FIELDS) throw new FileError(EIO);
  const fields = Array.from({ length: FIELDS }, (_, index) => found.readBigUInt64LE(8 * index));
  const bytes = Buffer.alloc(64);
  const small = (value: bigint) => Number(BigInt.asUintN(32, value));
  for (const [index, value] of fields.slice(0, 7).entries()) bytes.writeUInt32BE(small(value), 4 * index);
  for (const [index, value] of fields.slice(7, 10).entries()) bytes.writeBigUInt64BE(value, 28 + 8 * index);
  for (const [index, value] of fields.slice(10).entries()) bytes.writeUInt32BE(small(value), 52 + 4 * index);
  return bytes;
}
