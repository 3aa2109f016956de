/** What a client is about to ask of a process that stands, read for it before it asks (rsp/together.ts). */
import { readFileSync } from 'node:fs';
import type { Gdbserver } from '../attach/gdbserver';
import { isRegisters, rawRegisters } from '../attach/inspect';
import { parseThreadId, threadOfStop } from '../rsp/packets';
import { type Places, placesOf, placesTold } from '../rsp/registers';
import { type Ahead, MAX_PIECES, type Piece, type Wish } from '../rsp/together';
import { selectedProcess } from '../state/memory';
import type { Memory } from '../state/parked';
import type { Inferior } from './inferior';
import { makeThreadList } from './thread-list';

/** gdb reads stack and code in lines of so many bytes. */
const LINE = 64n;
const PAGE = 4096n;
/** Of a word's hexadecimal text. */
const WORD_DIGITS = 16;
/** Bytes of the stack: those below its top are a leaf function's. */
const STACK = { below: 256n, bytes: 2048n };
/** Of another thread's. */
const TOP = { below: 0n, bytes: 512n };
/** Bytes of the code around the pc. */
const CODE = { below: 64n, bytes: 256n };
/** Characters of each part of an answer, which has its bound (codec.ts: MAX_PACKET). */
const MAX_LIST = 40 << 10;
const MAX_REGISTERS = 40 << 10;
const MAX_WISHED = 24 << 10;

/** null where nothing is certain to stay as it is: the process runs, or has company. @throws gdbserver-gone, gdbserver-silent */
export async function readAhead(inferior: Inferior, wish: Wish): Promise<Ahead | null> {
  const { memory, server } = inferior;
  if (!server || memory.running || inferior.runs || memory.event !== null || memory.children.length > 0)
    return null;
  const thread = memory.selected.g?.slice('Hg'.length) ?? '';
  const isOwn = isOwnThread(thread, inferior.pid);
  if (!isOwn && selectedProcess(memory) !== null) return null;
  const places = wish.selected && isOwn ? await placesIn(thread, memory, server) : null;
  const around = places ? [...windows(places.sp, STACK), ...windows(places.pc, CODE)] : [];
  const wished = wish.memory.map(({ at, size }) => ({ at: BigInt(`0x${at}`), size: BigInt(size) }));
  const others = wished.filter((one) => !around.some((window) => includes(window, one)));
  const [own, top, rest, list] = await Promise.all([
    places ? registersOf(server, thread) : [],
    read(server, around),
    readOthers(server, others, inferior.nodePid),
    wish.threads ? listOf(inferior, server) : null,
  ]);
  const registers = isOwn ? await othersOf(server, wish.registers, thread, inferior.pid) : [];
  const back = places && returnsTo(places.sp, top, memory.resume ?? '');
  const tops = registers
    .flatMap(({ g }) => windows(placesOf(g).sp, TOP))
    .slice(0, MAX_PIECES - top.length - 1);
  const more = await read(server, [...(back ? windows(back, { below: 0n, bytes: LINE }) : []), ...tops]);
  const lasting = [...top, ...more, ...rest.lasting].slice(0, MAX_PIECES);
  return { list, registers: [...own, ...registers], lasting, wished: rest.wished };
}

/** Where the stop has told it, all else is asked for in one go. */
async function placesIn(thread: string, { stop }: Memory, server: Gdbserver): Promise<Places> {
  const told = stop && threadOfStop(stop.reply) === thread ? placesTold(stop.reply) : null;
  return told ?? placesOf(await server.ask('g'));
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

/** Of the thread that is selected. */
async function registersOf(server: Gdbserver, thread: string) {
  const g = await server.ask('g');
  return isRegisters(g) ? [{ thread, g }] : [];
}

/** Of other threads; the one that is selected stays so. */
async function othersOf(server: Gdbserver, wanted: string[], selected: string, pid: number) {
  const others = wanted.filter((name) => name !== selected && isOwnThread(name, pid));
  if (others.length === 0) return [];
  const registers = await rawRegisters(server, others);
  await server.ask(`Hg${selected}`);
  let left = MAX_REGISTERS;
  return registers.filter(({ g }) => {
    left -= g.length;
    return left >= 0;
  });
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

const RANGE = /;r([0-9a-f]{1,16}),([0-9a-f]{1,16})/i;

/**
 * Where the function goes back to that was called from the range that was to be stepped: the step goes on from there.
 * Null where it stands elsewhere.
 */
function returnsTo(sp: bigint, top: Piece[], resume: string): bigint | null {
  const [, from, until] = RANGE.exec(resume) ?? [];
  if (from === undefined || until === undefined) return null;
  for (const { at, bytes } of top) {
    const offset = 2 * Number(sp - BigInt(`0x${at}`));
    if (offset < 0 || offset + WORD_DIGITS > bytes.length) continue;
    const back = Buffer.from(bytes.slice(offset, offset + WORD_DIGITS), 'hex').readBigUInt64LE();
    return back > BigInt(`0x${from}`) && back <= BigInt(`0x${until}`) ? back : null;
  }
  return null;
}

/** Of those in mappings of the process's own, as many as an answer holds. The kernel writes into none that it may not. */
async function readOthers(server: Gdbserver, wanted: Window[], pid: number) {
  if (wanted.length === 0) return { lasting: [], wished: [] };
  const own = privateMappings(pid);
  const within = (one: Window) => own.find((mapping) => includes(mapping, one));
  let left = MAX_WISHED;
  const taken = wanted.filter((one) => {
    const takes = 2 * Number(one.size);
    if (takes > left || !within(one)) return false;
    left -= takes;
    return true;
  });
  const [wished, lasting] = await Promise.all([
    read(
      server,
      taken.filter((one) => within(one)!.writable),
    ),
    read(
      server,
      taken.filter((one) => !within(one)!.writable),
    ),
  ]);
  return { lasting, wished };
}

interface Mapping extends Window {
  writable: boolean;
}

const MAPPING = /^([0-9a-f]+)-([0-9a-f]+) .(.).p /gm;

function privateMappings(pid: number): Mapping[] {
  try {
    const maps = readFileSync(`/proc/${pid}/maps`, 'latin1');
    return [...maps.matchAll(MAPPING)].map(([, from, to, write]) => {
      const at = BigInt(`0x${from}`);
      return { at, size: BigInt(`0x${to}`) - at, writable: write === 'w' };
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
