/** What a client is about to ask of a process that stands, read for it before it asks (rsp/together.ts). */
import { readFileSync } from 'node:fs';
import type { Gdbserver } from '../attach/gdbserver';
import { rawRegisters } from '../attach/inspect';
import { parseThreadId } from '../rsp/packets';
import { placesOf } from '../rsp/registers';
import type { Ahead, Piece, Wish } from '../rsp/together';
import type { Inferior } from './inferior';
import { makeThreadList } from './thread-list';

/** gdb reads stack and code in lines of so many bytes. */
const LINE = 64n;
const PAGE = 4096n;
/** Bytes of the stack: those below its top are a leaf function's. */
const STACK = { below: 256n, bytes: 2048n };
/** Bytes of the code around the pc. */
const CODE = { below: 64n, bytes: 256n };
/** Characters of each part of an answer, which has its bound (codec.ts: MAX_PACKET). */
const MAX_LIST = 40 << 10;
const MAX_REGISTERS = 40 << 10;
const MAX_WISHED = 24 << 10;

/** null where nothing is certain to stay as it is: the process runs, or has company. @throws gdbserver-gone, gdbserver-silent */
export async function readAhead(inferior: Inferior, wish: Wish): Promise<Ahead | null> {
  const { memory, server } = inferior;
  const thread = memory.selected.g?.slice('Hg'.length) ?? '';
  if (!server || memory.running || inferior.runs || memory.event !== null || memory.children.length > 0)
    return null;
  if (!isOwnThread(thread, inferior.pid)) return null;
  const [own] = await rawRegisters(server, [thread]);
  if (!own) return null;
  const list = wish.threads ? await listOf(inferior, server) : null;
  const registers = [own, ...(await registersOf(server, wish.registers, own, inferior.pid))];
  const { sp, pc } = placesOf(own.g);
  const around = [...windows(sp, STACK), ...windows(pc, CODE)];
  const top = await read(server, around);
  const back = returnsTo(sp, top);
  const lasting =
    back === null ? top : [...top, ...(await read(server, windows(back, { below: 0n, bytes: LINE })))];
  const wished = wish.memory.map(({ at, size }) => ({ at: BigInt(`0x${at}`), size: BigInt(size) }));
  const others = wished.filter((one) => !around.some((window) => includes(window, one)));
  return { list, registers, lasting, wished: await read(server, bounded(others, inferior.nodePid)) };
}

interface Window {
  at: bigint;
  size: bigint;
}

const end = ({ at, size }: Window) => at + size;
const includes = (window: Window, { at, size }: Window) => window.at <= at && at + size <= end(window);

function isOwnThread(name: string, pid: number): boolean {
  const id = parseThreadId(name);
  return id !== null && id.thread > 0 && (id.process ?? pid) === pid;
}

async function listOf(inferior: Inferior, server: Gdbserver): Promise<string | null> {
  const list = await makeThreadList(inferior, server);
  return list.length <= MAX_LIST ? list : null;
}

/** Of other threads; the one that is selected stays so. */
async function registersOf(
  server: Gdbserver,
  wanted: string[],
  own: { thread: string; g: string },
  pid: number,
) {
  const few = wanted
    .filter((name) => name !== own.thread && isOwnThread(name, pid))
    .slice(0, Math.floor(MAX_REGISTERS / own.g.length));
  if (few.length === 0) return [];
  const registers = await rawRegisters(server, few);
  await server.ask(`Hg${own.thread}`);
  return registers;
}

/** Whole lines, in pieces that are in one page each: where one can't be read, the others can. */
function windows(around: bigint, { below, bytes }: { below: bigint; bytes: bigint }): Window[] {
  const from = ((around > below ? around - below : 0n) / LINE) * LINE;
  const pieces: Window[] = [];
  for (let at = from; at < from + bytes; ) {
    const next = (at / PAGE + 1n) * PAGE;
    const until = next < from + bytes ? next : from + bytes;
    pieces.push({ at, size: until - at });
    at = until;
  }
  return pieces;
}

/** Where a function goes back to that has only just been called: a step over it goes on from there. */
function returnsTo(sp: bigint, top: Piece[]): bigint | null {
  for (const { at, bytes } of top) {
    const from = 2 * Number(sp - BigInt(`0x${at}`));
    const word = from < 0 ? '' : bytes.slice(from, from + 16);
    if (word.length === 16) return Buffer.from(word, 'hex').readBigUInt64LE();
  }
  return null;
}

/** Of those that nobody but the process can write into, as many as an answer holds. */
function bounded(wanted: Window[], pid: number): Window[] {
  if (wanted.length === 0) return [];
  const own = privateMappings(pid);
  let left = MAX_WISHED;
  return wanted.filter((one) => {
    const takes = 2 * Number(one.size);
    if (takes > left || !own.some((mapping) => includes(mapping, one))) return false;
    left -= takes;
    return true;
  });
}

const MAPPING = /^([0-9a-f]+)-([0-9a-f]+) ...p /gm;

function privateMappings(pid: number): Window[] {
  try {
    const maps = readFileSync(`/proc/${pid}/maps`, 'latin1');
    return [...maps.matchAll(MAPPING)].map(([, from, to]) => {
      const at = BigInt(`0x${from}`);
      return { at, size: BigInt(`0x${to}`) - at };
    });
  } catch {
    return [];
  }
}

/** What can be read of it. */
async function read(server: Gdbserver, wanted: Window[]): Promise<Piece[]> {
  const asked = wanted.map(async ({ at, size }) => {
    const bytes = await server.ask(`m${at.toString(16)},${size.toString(16)}`);
    return /^(?:[0-9a-f]{2})+$/.test(bytes) && bytes.length === 2 * Number(size)
      ? [{ at: at.toString(16), bytes }]
      : [];
  });
  return (await Promise.all(asked)).flat();
}
