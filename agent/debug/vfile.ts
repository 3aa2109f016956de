/**
 * The job's files for its debugger: `vFile` requests (GDB manual, "Host I/O Packets") answered from the root that the
 * job's PID 1 sees, for reading only, and only what the process itself may read. Open files are known by their path,
 * so that they survive a move. Never waited for on the main thread: where the files are another node's, their bytes
 * come through it.
 */
import { type BigIntStats, constants, readFileSync } from 'node:fs';
import { type FileHandle, open, readlink } from 'node:fs/promises';
import { posix } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { escapeBinary } from './codec';

/** gdb has a handful open: the program and what it links to. */
const MAX_FILES = 256;
/** Bytes of one answer; the debugger asks for less than a packet. */
const MAX_READ = 0x4000;
/** Milliseconds for one answer: the files may be another node's, which may not answer for a while. */
const FILE_LIMIT = 20_000;
/** As the kernel: more symbolic links than this are a loop. */
const MAX_LINKS = 40;
/** Node has no name for it: a descriptor that stands for a file without opening it (open(2)). */
const O_PATH = 0o10000000;

/** GDB manual, "Errno Values". */
const ERRNO: Record<string, number> = {
  EPERM: 1,
  ENOENT: 2,
  EBADF: 9,
  EACCES: 13,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  EMFILE: 24,
  EROFS: 30,
  ELOOP: 22,
  ENAMETOOLONG: 91,
};
const UNKNOWN = 9999;
/** GDB manual, "Open Flags": write-only, read-write, append, create, truncate. */
const WRITING = 0x1 | 0x2 | 0x8 | 0x200 | 0x400;

class FileError extends Error {
  constructor(readonly code: string) {
    super(code);
  }
}

const failure = (error: unknown): string =>
  `F-1,${(ERRNO[(error as NodeJS.ErrnoException).code ?? ''] ?? UNKNOWN).toString(16)}`;
const success = (value: number, data?: string): string =>
  `F${value.toString(16)}${data === undefined ? '' : `;${data}`}`;
const text = (hex: string): string => Buffer.from(hex, 'hex').toString('utf8');

/** Waits no longer for a file system that does not answer. */
const TOO_LATE = new FileError('EIO');

export class JobFiles {
  /** Open files of this process by the handles that the client knows. */
  readonly #open = new Map<number, FileHandle>();
  /** An answer that came too late for the client may yet come; until then no other is begun. */
  #pending: Promise<unknown> | null = null;

  /** `pid`: whose rights count; `init`: whose root it is; `paths`: the client's open files, kept up to date. */
  constructor(
    private readonly pid: number,
    private readonly init: number,
    private readonly paths: Record<string, string>,
  ) {}

  /** The answer to a `vFile:` packet; empty for an operation that is not known here. */
  async answer(packet: string): Promise<string> {
    if (this.#pending) return failure(TOO_LATE);
    const late = new AbortController();
    const work = this.#answer(packet).catch(failure);
    this.#pending = work.finally(() => {
      this.#pending = null;
    });
    const limit = sleep(FILE_LIMIT, failure(TOO_LATE), { signal: late.signal }).catch(() => '');
    const answer = await Promise.race([work, limit]);
    late.abort();
    return answer;
  }

  async #answer(packet: string): Promise<string> {
    const [, operation = '', ...rest] = packet.split(':');
    const fields = rest.join(':').split(',');
    switch (operation) {
      case 'setfs':
        return success(0);
      case 'open':
        return this.#openFile(text(fields[0] ?? ''), Number.parseInt(fields[1] ?? '0', 16));
      case 'close':
        return this.#closeFile(Number.parseInt(fields[0]!, 16));
      case 'pread':
        return this.#read(fields.map((field) => Number.parseInt(field, 16)));
      case 'fstat':
        return this.#stat(Number.parseInt(fields[0]!, 16));
      case 'readlink':
        return this.#readlink(text(fields[0] ?? ''));
      case 'pwrite':
      case 'unlink':
        throw new FileError('EROFS');
      default:
        return '';
    }
  }

  /** Closes this end's files; the client's handles stay valid. */
  close(): void {
    for (const file of this.#open.values()) letGo(file);
    this.#open.clear();
  }

  async #openFile(path: string, flags: number): Promise<string> {
    if (flags & WRITING) throw new FileError('EROFS');
    const used = Object.keys(this.paths).length;
    if (used >= MAX_FILES) throw new FileError('EMFILE');
    const file = await this.#reopen(path);
    let handle = 0;
    while (`${handle}` in this.paths) handle++;
    this.paths[`${handle}`] = path;
    this.#open.set(handle, file);
    return success(handle);
  }

  async #reopen(path: string): Promise<FileHandle> {
    const found = await this.#find(path);
    try {
      const stats = await found.stat({ bigint: true });
      if (stats.isDirectory()) throw new FileError('EISDIR');
      // Anything else could make the reader wait, or do something on being opened.
      if (!stats.isFile()) throw new FileError('EACCES');
      if (!mayUse(this.pid, stats, READ)) throw new FileError('EACCES');
      return await open(`/proc/self/fd/${found.fd}`, constants.O_RDONLY);
    } finally {
      letGo(found);
    }
  }

  /** A handle that came along from another node is opened when it is used. */
  async #file(handle: number): Promise<FileHandle> {
    const known = this.#open.get(handle);
    if (known !== undefined) return known;
    const path = this.paths[`${handle}`];
    if (path === undefined) throw new FileError('EBADF');
    const file = await this.#reopen(path);
    this.#open.set(handle, file);
    return file;
  }

  #closeFile(handle: number): string {
    if (!(`${handle}` in this.paths)) throw new FileError('EBADF');
    const file = this.#open.get(handle);
    delete this.paths[`${handle}`];
    this.#open.delete(handle);
    if (file !== undefined) letGo(file);
    return success(0);
  }

  async #read([handle, count, offset]: number[]): Promise<string> {
    const file = await this.#file(handle ?? Number.NaN);
    if (!(count! >= 0) || !(offset! >= 0)) throw new FileError('EINVAL');
    const size = Math.min(count!, MAX_READ);
    const { bytesRead, buffer } = await file.read(Buffer.alloc(size), 0, size, offset!);
    return success(bytesRead, escapeBinary(buffer.subarray(0, bytesRead)));
  }

  async #stat(handle: number): Promise<string> {
    const file = await this.#file(handle);
    const stat = structStat(await file.stat({ bigint: true }));
    return success(stat.length, escapeBinary(stat));
  }

  async #readlink(path: string): Promise<string> {
    const { dir, base } = posix.parse(path);
    const folder = await this.#find(dir);
    try {
      const stats = await folder.stat({ bigint: true });
      if (!mayUse(this.pid, stats, SEARCH)) throw new FileError('EACCES');
      const target = await readlink(`/proc/self/fd/${folder.fd}/${base}`, { encoding: 'buffer' });
      return success(target.length, escapeBinary(target));
    } finally {
      letGo(folder);
    }
  }

  /**
   * A descriptor (O_PATH) for a path of the job's root. Each component is opened relative to the one before, never
   * through a symbolic link: links are read, and followed inside the root only.
   */
  async #find(path: string): Promise<FileHandle> {
    if (!path.startsWith('/') || path.includes('\0')) throw new FileError('EINVAL');
    const trail = [await open(`/proc/${this.init}/root`, O_PATH | constants.O_DIRECTORY)];
    const todo = path.split('/');
    let links = 0;
    try {
      while (todo.length > 0) {
        const name = todo.shift()!;
        if (name === '' || name === '.') continue;
        if (name === '..') {
          if (trail.length > 1) letGo(trail.pop()!);
          continue;
        }
        const folder = trail.at(-1)!;
        const stats = await folder.stat({ bigint: true });
        if (!stats.isDirectory()) throw new FileError('ENOTDIR');
        if (!mayUse(this.pid, stats, SEARCH)) throw new FileError('EACCES');
        const at = `/proc/self/fd/${folder.fd}/${name}`;
        const next = await open(at, O_PATH | constants.O_NOFOLLOW);
        if (!(await next.stat()).isSymbolicLink()) {
          trail.push(next);
          continue;
        }
        letGo(next);
        if (++links > MAX_LINKS) throw new FileError('ELOOP');
        const target = await readlink(at);
        if (target.startsWith('/')) for (const file of trail.splice(1)) letGo(file);
        todo.unshift(...target.split('/'));
      }
      return trail.pop()!;
    } finally {
      for (const file of trail) letGo(file);
    }
  }
}

/** Nobody needs to wait for it: it is only read. */
function letGo(file: FileHandle): void {
  void file.close().catch(() => {});
}

const READ = 4;
const SEARCH = 1;

/** The classic permissions, judged by the process's own user and groups (proc(5), path_resolution(7)). */
function mayUse(pid: number, stats: BigIntStats, wish: number): boolean {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const numbers = (field: string) =>
    (new RegExp(`^${field}:(.*)$`, 'm').exec(status)?.[1] ?? '').trim().split(/\s+/).map(Number);
  const user = numbers('Uid')[1];
  const groups = [numbers('Gid')[1], ...numbers('Groups')];
  if (user === 0) return true;
  const mode = Number(stats.mode);
  if (Number(stats.uid) === user) return ((mode >> 6) & wish) === wish;
  if (groups.includes(Number(stats.gid))) return ((mode >> 3) & wish) === wish;
  return (mode & wish) === wish;
}

/** GDB manual, "struct stat": big-endian, 64 bytes. */
function structStat(stats: BigIntStats): Buffer {
  const bytes = Buffer.alloc(64);
  const small = (value: bigint) => Number(BigInt.asUintN(32, value));
  const head = [stats.dev, stats.ino, stats.mode, stats.nlink, stats.uid, stats.gid, stats.rdev];
  for (const [index, value] of head.entries()) bytes.writeUInt32BE(small(value), 4 * index);
  bytes.writeBigUInt64BE(stats.size, 28);
  bytes.writeBigUInt64BE(stats.blksize, 36);
  bytes.writeBigUInt64BE(stats.blocks, 44);
  const times = [stats.atimeMs, stats.mtimeMs, stats.ctimeMs];
  for (const [index, time] of times.entries()) bytes.writeUInt32BE(small(time / 1000n), 52 + 4 * index);
  return bytes;
}
