/**
 * Threads kept where they are while a debug server attaches. It lets them run for a moment before it stops them; what
 * they then execute is a jump to itself, written at each one's pc, and removed when all are stopped.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { GodwitError } from '../../api/errors';

/** Where a stopped thread is; `restarts`: in a system call, which the kernel may start again from its instruction. */
export interface Position {
  pc: number;
  restarts: boolean;
}

export interface Architecture {
  /** Bytes of an instruction that enters the kernel, and of one that jumps to itself. */
  syscallBytes: number;
  isSyscall(bytes: Buffer): boolean;
  /** The bytes to write so that a thread at any of these addresses stays there, or slides onto the next of them. */
  plan(addresses: number[]): Map<number, number>;
}

const NOP = 0x90;
const JUMP_TO_SELF = [0xeb, 0xfe];
/** syscall, int 0x80, sysenter (Intel SDM). */
const SYSCALLS = ['0f05', 'cd80', '0f34'];

export const x64: Architecture = {
  syscallBytes: 2,
  isSyscall: (bytes) => SYSCALLS.includes(bytes.toString('hex')),
  plan(addresses) {
    const positions = new Set(addresses);
    const bytes = new Map<number, number>();
    for (const at of positions) {
      // A jump takes two bytes: a thread one byte before another one gets a no-op and slides onto the other's jump.
      const patch = positions.has(at + 1) ? [NOP] : JUMP_TO_SELF;
      for (const [index, byte] of patch.entries()) bytes.set(at + index, byte);
    }
    return bytes;
  },
};

export const arm64: Architecture = {
  syscallBytes: 4,
  // svc #0
  isSyscall: (bytes) => bytes.toString('hex') === '010000d4',
  plan(addresses) {
    // b .
    const jump = [0x00, 0x00, 0x00, 0x14];
    return new Map(
      addresses.flatMap((at) => jump.map((byte, index): [number, number] => [at + index, byte])),
    );
  },
};

export const architecture: Architecture = process.arch === 'arm64' ? arm64 : x64;

const cannotHold = (pid: number, address: number, why: string) =>
  new GodwitError({
    code: 'cannot-hold',
    message: `process ${pid} can't be kept in place at 0x${address.toString(16)}: ${why}`,
    fix: 'try again: its threads are elsewhere then',
  });

export interface Patch {
  address: number;
  bytes: Buffer;
}

/** Single bytes joined into runs, in the order of their addresses. */
export function runsOf(bytes: Map<number, number>): Patch[] {
  const runs: { address: number; bytes: number[] }[] = [];
  for (const [address, byte] of [...bytes].sort(([a], [b]) => a - b)) {
    const last = runs.at(-1);
    if (last && last.address + last.bytes.length === address) last.bytes.push(byte);
    else runs.push({ address, bytes: [byte] });
  }
  return runs.map(({ address, bytes: run }) => ({ address, bytes: Buffer.from(run) }));
}

/**
 * The program's own bytes, kept while the spins are in. Nothing here waits on the thread that relays the home's files:
 * a page of the program may have to come from there first.
 */
export class Spin {
  private constructor(
    private readonly pid: number,
    private readonly original: Patch[],
  ) {}

  /** Precondition: no thread of the process runs. @throws cannot-hold, nothing being written then */
  static async put(pid: number, positions: Position[]): Promise<Spin> {
    const mem = await open(`/proc/${pid}/mem`, 'r+');
    const spin = new Spin(pid, []);
    try {
      const runs = runsOf(architecture.plan(await addressesOf(mem, positions)));
      for (const run of runs) spin.original.push({ address: run.address, bytes: await read(mem, pid, run) });
      for (const run of runs) await write(mem, pid, run);
      return spin;
    } catch (error) {
      await spin.undoAt(mem);
      throw error;
    } finally {
      await mem.close();
    }
  }

  /** Precondition: no thread of the process runs. Does nothing when the process, or its memory, is gone. */
  async undo(): Promise<void> {
    const mem = await open(`/proc/${this.pid}/mem`, 'r+').catch(() => null);
    if (!mem) return;
    try {
      await this.undoAt(mem);
    } finally {
      await mem.close();
    }
  }

  private async undoAt(mem: FileHandle): Promise<void> {
    for (const patch of this.original.splice(0)) {
      try {
        await write(mem, this.pid, patch);
      } catch {
        // Memory that can't be written now is not there any more: it was writable when the spin was put in.
      }
    }
  }
}

/** For a thread in a system call, its return and the call's own instruction: the call must not be made again meanwhile. */
async function addressesOf(mem: FileHandle, positions: Position[]): Promise<number[]> {
  const addresses = new Set<number>();
  for (const { pc, restarts } of positions) {
    addresses.add(pc);
    if (restarts && (await syscallBefore(mem, pc))) addresses.add(pc - architecture.syscallBytes);
  }
  return [...addresses];
}

async function syscallBefore(mem: FileHandle, pc: number): Promise<boolean> {
  const size = architecture.syscallBytes;
  try {
    const { bytesRead, buffer } = await mem.read(Buffer.alloc(size), 0, size, pc - size);
    return bytesRead === size && architecture.isSyscall(buffer);
  } catch {
    return false;
  }
}

async function read(mem: FileHandle, pid: number, { address, bytes }: Patch): Promise<Buffer> {
  const found = Buffer.alloc(bytes.length);
  try {
    if ((await mem.read(found, 0, found.length, address)).bytesRead === found.length) return found;
  } catch (error) {
    throw cannotHold(pid, address, (error as Error).message);
  }
  throw cannotHold(pid, address, 'its memory ends there');
}

async function write(mem: FileHandle, pid: number, { address, bytes }: Patch): Promise<void> {
  try {
    if ((await mem.write(bytes, 0, bytes.length, address)).bytesWritten === bytes.length) return;
  } catch (error) {
    throw cannotHold(pid, address, (error as Error).message);
  }
  throw cannotHold(pid, address, 'its memory ends there');
}
