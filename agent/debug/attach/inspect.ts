/** What a stub asks a debug server on its own account: threads, registers, siginfo, breakpoints, symbols. */
import { GodwitError } from '../../api/errors';
import { parseStopReply, parseThreadId } from '../rsp/packets';
import { generalOf } from '../rsp/registers';
import { breakpointKey } from '../state/memory';
import { MAX_SYMBOLS, MAX_THREADS, type Memory, type Stop, type ThreadRegisters } from '../state/parked';
import type { Gdbserver } from './gdbserver';

/** A `g` packet: with the largest vectors of SVE some 9000 bytes, each of two digits. */
const REGISTERS = /^[0-9a-fx]{16,32768}$/i;
export const isRegisters = (reply: string): boolean => REGISTERS.test(reply);
/** siginfo_t is 128 bytes. */
const SIGINFO_BYTES = 0x100;

const unexpected = (request: string, reply: string) =>
  new GodwitError({
    code: 'gdbserver-refused',
    message: `gdbserver answered ${request.slice(0, 60)} with ${reply === '' ? 'nothing' : reply.slice(0, 60)}`,
  });

/** Asks, and takes no answer but OK. @throws gdbserver-refused */
export async function expectOk(server: Gdbserver, request: string): Promise<void> {
  const reply = await server.ask(request);
  if (reply !== 'OK') throw unexpected(request, reply);
}

/**
 * The ids of all threads that the server holds, in the client's form. It names one in each reply: as many are asked for
 * at once as there may be, with the end of the list, and then twice as many.
 */
export async function threadNames(server: Gdbserver, expected = 1): Promise<string[]> {
  const names: string[] = [];
  let request = 'qfThreadInfo';
  for (let count = expected + 1; names.length < MAX_THREADS; count *= 2) {
    const asked = Array.from({ length: count }, (_, nth) => server.ask(nth === 0 ? request : 'qsThreadInfo'));
    for (const reply of await Promise.all(asked)) {
      // So it answers whatever is asked behind the last.
      if (reply === 'l') return names;
      const some = reply.startsWith('m') ? reply.slice(1).split(',') : [];
      if (some.length === 0 || some.some((name) => parseThreadId(name) === null))
        throw unexpected(request, reply);
      names.push(...some);
    }
    request = 'qsThreadInfo';
  }
  return names;
}

/** The processes among them other than the stub's own. */
export const otherProcesses = (names: string[], pid: number): number[] => [
  ...new Set(names.map((name) => parseThreadId(name)?.process ?? pid).filter((process) => process !== pid)),
];

/** The `g` packets of threads, asked for in one go. */
export async function rawRegisters(
  server: Gdbserver,
  threads: string[],
): Promise<{ thread: string; g: string }[]> {
  const asked = threads.map(async (thread) => {
    const [selected, g] = await Promise.all([server.ask(`Hg${thread}`), server.ask('g')]);
    // A thread that has ended meanwhile has no registers.
    return selected === 'OK' && isRegisters(g) ? [{ thread, g }] : [];
  });
  return (await Promise.all(asked)).flat();
}

export const generalRegisters = async (server: Gdbserver, threads: string[]): Promise<ThreadRegisters[]> =>
  (await rawRegisters(server, threads)).map(({ thread, g }) => ({ thread, general: generalOf(g) }));

/** A stop with the siginfo of its thread, which has not run since. */
export async function withSiginfo(server: Gdbserver, reply: string): Promise<Stop> {
  const parsed = parseStopReply(reply);
  if (parsed?.kind !== 'stop' || parsed.thread === undefined) return { reply, siginfo: null };
  if ((await server.ask(`Hg${parsed.thread}`)) !== 'OK') return { reply, siginfo: null };
  const answer = await server.ask(`qXfer:siginfo:read::0,${SIGINFO_BYTES.toString(16)}`);
  return { reply, siginfo: answer.startsWith('l') ? answer.slice(1) : null };
}

/** Gives the thread of a stop the siginfo that it had then. One that can't be given back is no obstacle. */
export async function writeSiginfo(server: Gdbserver, { reply, siginfo }: Stop): Promise<void> {
  const parsed = parseStopReply(reply);
  if (siginfo === null || parsed?.kind !== 'stop' || parsed.thread === undefined) return;
  if ((await server.ask(`Hg${parsed.thread}`)) === 'OK')
    await server.ask(`qXfer:siginfo:write::0:${siginfo}`);
}

/** Selects the threads that the client has selected. A thread that has ended can't be, as it couldn't before. */
export async function select(server: Gdbserver, { selected }: Memory): Promise<void> {
  if (selected.g !== null) await server.ask(selected.g);
  if (selected.c !== null) await server.ask(selected.c);
}

/** Selects the stub's own process, whose breakpoints are meant. */
async function selectOwn(server: Gdbserver, { pid }: Memory): Promise<void> {
  const own = (await threadNames(server)).find((name) => (parseThreadId(name)?.process ?? pid) === pid);
  if (own) await server.ask(`Hg${own}`);
}

export async function takeOutBreakpoints(server: Gdbserver, memory: Memory): Promise<void> {
  if (memory.breakpoints.length === 0) return;
  await selectOwn(server, memory);
  for (const packet of memory.breakpoints) await expectOk(server, `z${breakpointKey(packet)}`);
}

/** Returns those that the server refused. */
export async function putInBreakpoints(server: Gdbserver, memory: Memory): Promise<string[]> {
  if (memory.breakpoints.length === 0) return [];
  await selectOwn(server, memory);
  const refused: string[] = [];
  for (const packet of memory.breakpoints) if ((await server.ask(packet)) !== 'OK') refused.push(packet);
  return refused;
}

/** Offers symbols as the client did, and answers as it did: thread-local variables need them. */
export async function replaySymbols(server: Gdbserver, { offersSymbols, symbols }: Memory): Promise<void> {
  if (!offersSymbols) return;
  let reply = await server.ask('qSymbol::');
  for (let asked = 0; asked < MAX_SYMBOLS && reply.startsWith('qSymbol:'); asked++) {
    const name = reply.slice('qSymbol:'.length);
    reply = await server.ask(`qSymbol:${symbols[name] ?? ''}:${name}`);
  }
}
