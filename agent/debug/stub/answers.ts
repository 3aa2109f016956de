/** What each packet of a client does to the inferior, and what is answered: by its debug server or on its behalf. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Gdbserver } from '../attach/gdbserver';
import { otherProcesses, threadNames } from '../attach/inspect';
import { childrenOf, threadsOf } from '../attach/threads';
import { MAX_PACKET } from '../rsp/codec';
import { featuresForClient, featuresForServer } from '../rsp/features';
import { isResume, parseStopReply, threadOfStop } from '../rsp/packets';
import { judge } from '../rsp/requests';
import { decodeSymbols, type Symbols, tellsSymbols } from '../rsp/symbols';
import { exceeds, isSignalList, remember, resumed, withoutStopSignal } from '../state/memory';
import { MAX_SYMBOLS, type Memory, type Stop } from '../state/parked';
import { letsRun, signalsOf, steps, withSignals } from '../state/resume';
import { FOLLOW_CHILDREN, letChildGo } from './children';
import type { Inferior } from './inferior';
import { SAME_CAUSE_LIMIT } from './loss';
import { leave } from './standstill';
import { answerThreads, readsThreads } from './thread-list';

/** Milliseconds for gdbserver to answer a client's request; thread-local storage lookups are the slowest. */
const CLIENT_LIMIT = 60_000;
/** gdb's number of it. */
const SIGTRAP = 5;

const NONE: Symbols = new Map();

const TOO_MANY = 'E.there are too many breakpoints, or conditions too long, to travel with a job';

export interface Answer {
  /** null where it comes later, or never. */
  reply: string | null;
  /** What the packet has done to the process, which has no debugger any more. */
  ended?: 'killed' | 'detached';
}

/** @throws gdbserver-gone, gdbserver-silent, and what `leave` throws */
export async function answerTo(packet: string, inferior: Inferior): Promise<Answer> {
  const { memory, server } = inferior;
  if (packet === FOLLOW_CHILDREN) {
    inferior.note({ followsChildren: true });
    return { reply: 'OK' };
  }
  if (tellsSymbols(packet)) return { reply: toldSymbols(packet, inferior) };
  const judged = judge(packet, server?.packetSize ?? MAX_PACKET);
  if (judged !== 'pass') return { reply: judged.answer };
  if (packet.startsWith('vFile:')) return { reply: await inferior.files.answer(packet) };
  if (packet === '?' && memory.stop) return { reply: memory.stop.reply };
  if (!server) return { reply: answerAlone(packet, memory) };
  if (packet === 'k' || packet.startsWith('vKill;')) return kill(packet, inferior, server);
  if (packet === 'D' || packet.startsWith('D;')) return detach(packet, inferior, server);
  if (isResume(packet)) return resume(packet, inferior);
  if (readsThreads(packet)) return { reply: await answerThreads(packet, inferior) };
  return { reply: await forward(packet, inferior, server) };
}

/** What is left to say when the process has ended. */
function answerAlone(packet: string, { stop }: Memory): string | null {
  if (isResume(packet)) return stop?.reply ?? 'E01';
  if (packet === 'k') return null;
  return /^(D|vKill)/.test(packet) ? 'OK' : 'E01';
}

async function forward(request: string, inferior: Inferior, server: Gdbserver): Promise<string> {
  const packet = request.startsWith('qSupported') ? featuresForServer(request) : request;
  if (exceeds(inferior.memory, packet)) return TOO_MANY;
  if (packet.startsWith('qSymbol:')) return lookUp(packet, inferior, server);
  const reply = await server.ask(isSignalList(packet) ? withoutStopSignal(packet) : packet, CLIENT_LIMIT);
  inferior.note(remember(inferior.memory, packet, reply));
  if (packet.startsWith('qSupported')) return featuresForClient(reply);
  if (packet === '?') inferior.note({ stop: { reply, siginfo: null } });
  return reply;
}

function toldSymbols(packet: string, inferior: Inferior): string {
  const symbols = decodeSymbols(packet);
  if (!symbols) return '';
  inferior.symbols = symbols;
  return 'OK';
}

/** Returns the first question of the debug server's whose answer was not told, or its last word. */
async function lookUp(packet: string, inferior: Inferior, server: Gdbserver): Promise<string> {
  let answer: string | null = packet;
  let reply = '';
  for (let asked = 0; answer !== null; asked++) {
    reply = await server.ask(answer, CLIENT_LIMIT);
    inferior.note(remember(inferior.memory, answer, reply));
    const name = reply.startsWith('qSymbol:') ? reply.slice('qSymbol:'.length) : null;
    const told = name === null ? undefined : inferior.symbols.get(name);
    answer = told === undefined || asked > MAX_SYMBOLS ? null : `qSymbol:${told}:${name}`;
  }
  // Between its question and the answer the client may read memory.
  inferior.lookingUp = reply.startsWith('qSymbol:');
  if (!inferior.lookingUp) inferior.symbols = NONE;
  return reply;
}

async function resume(packet: string, inferior: Inferior): Promise<Answer> {
  const selected = inferior.memory.selected.g?.slice('Hg'.length) ?? null;
  inferior.note(resumed(inferior.memory, packet));
  const stop = nextPending(packet, inferior);
  const { owedSignals } = inferior.memory;
  if (stop) {
    // As gdbserver does it: nothing is let go while a stop waits to be reported.
    inferior.note({ owedSignals: [...owedSignals, ...signalsOf(packet, selected)] });
    await inferior.deliver(stop);
  } else {
    const whole = withSignals(packet, owedSignals);
    inferior.note({ owedSignals: whole.owed });
    inferior.letRun(whole.packet);
  }
  return { reply: null };
}

/** Takes the first stop of a thread that is to run now off the list. A finished step counts if it is asked for again. */
function nextPending(packet: string, inferior: Inferior): Stop | undefined {
  for (const stop of inferior.memory.pending) {
    const thread = threadOfStop(stop.reply);
    if (thread !== undefined && !letsRun(packet, thread)) continue;
    inferior.note({ pending: inferior.memory.pending.filter((other) => other !== stop) });
    if (thread === undefined || !isStep(stop.reply) || steps(packet, thread)) return stop;
  }
  return undefined;
}

/** A plain SIGTRAP without a reason: a finished step. */
function isStep(reply: string): boolean {
  const stop = parseStopReply(reply);
  return stop?.kind === 'stop' && stop.signal === SIGTRAP && stop.reason === undefined;
}

async function kill(packet: string, inferior: Inferior, server: Gdbserver): Promise<Answer> {
  if (packet === 'k') server.send(packet);
  const reply = packet === 'k' ? null : await server.ask(packet, CLIENT_LIMIT);
  const killed = reply === 'OK' && Number.parseInt(packet.slice('vKill;'.length), 16) === inferior.pid;
  if (packet !== 'k' && !killed) return { reply };
  inferior.forgetServer();
  await Promise.race([server.closed, sleep(SAME_CAUSE_LIMIT)]);
  await server.kill();
  return { reply, ended: 'killed' };
}

async function detach(packet: string, inferior: Inferior, server: Gdbserver): Promise<Answer> {
  const process = packet === 'D' ? inferior.pid : Number.parseInt(packet.slice('D;'.length), 16);
  if (process !== inferior.pid) {
    const answered = await letChildGo(packet, process, inferior, server);
    return { reply: answered ?? (await forward(packet, inferior, server)) };
  }
  const others = otherProcesses(await threadNames(server), inferior.pid);
  const child = others.find((other) => other !== inferior.unseen);
  if (child !== undefined) return { reply: await follow(child, packet, inferior, server) };
  await leave(inferior);
  return { reply: 'OK', ended: 'detached' };
}

/** The client lets the parent go and keeps the child (`set follow-fork-mode child`). */
async function follow(child: number, packet: string, inferior: Inferior, server: Gdbserver): Promise<string> {
  const nodePid = childrenOf(inferior.nodePid).find((pid) =>
    threadsOf(pid).some(({ inner }) => inner === child),
  );
  const reply = await server.ask(packet, CLIENT_LIMIT);
  if (reply === 'OK' && nodePid !== undefined) inferior.follow(nodePid, child);
  return reply;
}
