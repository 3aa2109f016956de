/**
 * What a debugger may ask: each packet of GDB's manual (appendix "Remote Serial Protocol") that reaches gdbserver or is
 * served by the stub, with its shape and bounds. gdbserver trusts what it reads, so nothing else is passed on. Pure.
 */
import { isSoundExpression } from './agent-expression';
import { unescapeBinary } from './codec';
import { isSupportedRequest } from './features';

/** What becomes of a request: `pass`, or the answer to it. */
export type Judgement = 'pass' | { answer: string };

const sentence = (text: string): string => `E.${text}`;
/** What the protocol has for a packet that is not known. */
const UNSUPPORTED = '';
const CANNOT_TRAVEL = 'can not travel with a job that migrates';
const MALFORMED = sentence('the packet is malformed or asks for too much');
const TOO_LONG = sentence('the packet is longer than the debug server takes');

/** gdbserver reads that many bytes one by one, and reads nothing else meanwhile. */
const MAX_CHECKED = 16 << 20;
/** siginfo_t (siginfo.h). */
const SIGINFO_BYTES = 128;
/** Lists of signals and of system calls: there are fewer. */
const MAX_LISTED = 1024;

const HEX = '[0-9a-fA-F]';
const BYTES = `(?:${HEX}{2})*`;
const ADDRESS = `${HEX}{1,16}`;
const COUNT = `${HEX}{1,8}`;
const ID = `(?:-1|${HEX}{1,8})`;
/** Never `pPID` alone: gdbserver ends over it. */
const THREAD = `(?:p${ID}\\.${ID}|${ID})`;
const SIGNAL = `${HEX}{2}`;
const ACTION = `(?:[cs]|[CS]${SIGNAL}|r${ADDRESS},${ADDRESS})(?::${THREAD})?`;

const shape = (text: string): RegExp => new RegExp(`^${text}$`);
const number = (hex: string | undefined): number => Number.parseInt(hex ?? '', 16);

/** `size`: bytes of the largest packet that the debug server takes, and so of its largest answer. */
type Check = (packet: string, size: number) => boolean;

const is = (text: string): Check => {
  const wanted = shape(text);
  return (packet) => wanted.test(packet);
};

/** Bytes that binary data stands for, null where its escapes are broken. */
function plain(data: string): Buffer | null {
  try {
    return unescapeBinary(data);
  } catch {
    return null;
  }
}

const MEMORY = shape(`[mx]${ADDRESS},(${COUNT})`);
/** In its answer each byte takes two at the most. */
const readsMemory: Check = (packet, size) => 2 * number(MEMORY.exec(packet)?.[1]) + 1 <= size;

const WRITE = shape(`M${ADDRESS},(${COUNT}):(${BYTES})`);
function writesMemory(packet: string): boolean {
  const [, count, data] = WRITE.exec(packet) ?? [];
  return data !== undefined && data.length === 2 * number(count);
}

const BINARY_WRITE = new RegExp(`^X${ADDRESS},(${COUNT}):([\\s\\S]*)$`);
function writesBinary(packet: string): boolean {
  const [, count, data] = BINARY_WRITE.exec(packet) ?? [];
  return data !== undefined && plain(data)?.length === number(count);
}

const SEARCH = new RegExp(`^qSearch:memory:${ADDRESS};(${ADDRESS});([\\s\\S]+)$`);
function searches(packet: string): boolean {
  const [, length, pattern] = SEARCH.exec(packet) ?? [];
  const bytes = plain(pattern ?? '')?.length ?? 0;
  return bytes > 0 && number(length) >= bytes && number(length) <= MAX_CHECKED;
}

const SUM = shape(`qCRC:${ADDRESS},(${ADDRESS})`);
const sumsUp: Check = (packet) => number(SUM.exec(packet)?.[1]) <= MAX_CHECKED;

/** What is read by `qXfer`, and the annex of each. */
const OBJECTS: Record<string, RegExp> = {
  auxv: /^$/,
  'exec-file': shape(`(?:${HEX}{1,8})?`),
  features: /^[A-Za-z0-9_.-]{1,64}$/,
  libraries: /^$/,
  'libraries-svr4': shape(`(?:(?:lmid|start|prev)=${ADDRESS};?)*`),
  osdata: /^[a-z ]{0,32}$/,
  siginfo: /^$/,
  threads: /^$/,
};
const TRANSFER = new RegExp(`^qXfer:([a-z0-9-]{1,32}):read:([^:]{0,256}):${ADDRESS},(${COUNT})$`);
function transfers(packet: string, size: number): boolean {
  const [, object = '', annex = '', count] = TRANSFER.exec(packet) ?? [];
  return OBJECTS[object]?.test(annex) === true && number(count) <= size;
}

const SIGINFO = new RegExp(`^qXfer:siginfo:write::(${HEX}{1,4}):([\\s\\S]*)$`);
function writesSiginfo(packet: string): boolean {
  const [, offset, data] = SIGINFO.exec(packet) ?? [];
  const bytes = data === undefined ? null : plain(data);
  return bytes !== null && number(offset) + bytes.length <= SIGINFO_BYTES;
}

const POINT = new RegExp(`^[zZ]([0-4]),${ADDRESS},${HEX}{1,4}(;.*)?$`);
const CONDITION = new RegExp(`^;?X(${HEX}{1,4}),`);
/** Conditions are for what is executed; commands are not served (features.ts). */
function isPoint(packet: string): boolean {
  const [, kind, conditions] = POINT.exec(packet) ?? [];
  if (kind === undefined || conditions === undefined) return kind !== undefined;
  if (packet.startsWith('z') || !['0', '1'].includes(kind)) return false;
  for (let rest = conditions; rest !== ''; ) {
    const [head, length] = CONDITION.exec(rest) ?? [];
    if (head === undefined) return false;
    const code = rest.slice(head.length, head.length + 2 * number(length));
    if (code.length !== 2 * number(length) || !shape(BYTES).test(code)) return false;
    if (!isSoundExpression(Buffer.from(code, 'hex'))) return false;
    rest = rest.slice(head.length + code.length);
  }
  return true;
}

const listOf = (what: string): string => `(?:${what}(?:;${what}){0,${MAX_LISTED - 1}})?;?`;

/** By how each begins: what it must look like. */
const PASSED: [RegExp, Check][] = [
  [/^\?/, is('\\?')],
  [/^c/, is(`c(?:${ADDRESS})?`)],
  [/^s/, is(`s(?:${ADDRESS})?`)],
  [/^[CS]/, is(`[CS]${SIGNAL}(?:;${ADDRESS})?`)],
  [/^D/, is(`D(?:;${COUNT})?`)],
  [/^g/, is('g')],
  [/^G/, is(`G(?:${HEX}{2}|xx)+`)],
  [/^H/, is(`H[cg]${THREAD}`)],
  [/^k/, is('k')],
  [/^[mx]/, readsMemory],
  [/^M/, writesMemory],
  [/^X/, writesBinary],
  [/^p/, is(`p${HEX}{1,4}`)],
  [/^P/, is(`P${HEX}{1,4}=(?:${HEX}{2}|xx){1,512}`)],
  [/^T/, is(`T${THREAD}`)],
  [/^vCont\?/, is('vCont\\?')],
  [/^vCont/, is(`vCont(?:;${ACTION})+`)],
  [/^vKill/, is(`vKill;${COUNT}`)],
  // The stub reads these itself (vfile.ts).
  [/^vFile:/, () => true],
  [/^[zZ]/, isPoint],
  [/^qC$/, is('qC')],
  [/^qAttached/, is(`qAttached(?::${COUNT})?`)],
  [/^qOffsets/, is('qOffsets')],
  [/^q[fs]ThreadInfo/, is('q[fs]ThreadInfo')],
  [/^qThreadExtraInfo/, is(`qThreadExtraInfo,${THREAD}`)],
  [/^qGetTLSAddr/, is(`qGetTLSAddr:${THREAD},${ADDRESS},${ADDRESS}`)],
  [/^qCRC/, sumsUp],
  [/^qSearch/, searches],
  [/^qSupported/, isSupportedRequest],
  [/^qSymbol/, is(`qSymbol:(?:${ADDRESS})?:${BYTES}`)],
  [/^qXfer:siginfo:write:/, writesSiginfo],
  [new RegExp(`^qXfer:(?:${Object.keys(OBJECTS).join('|')}):read:`), transfers],
  [/^QPassSignals/, is(`QPassSignals:${listOf(`${HEX}{1,2}`)}`)],
  [/^QProgramSignals/, is(`QProgramSignals:${listOf(`${HEX}{1,2}`)}`)],
  [/^QCatchSyscalls/, is(`QCatchSyscalls:(?:0|1;?${listOf(`${HEX}{1,4}`)})`)],
  [/^QThreadEvents/, is('QThreadEvents:[01]')],
];

/** Answered here. `E.` shows a sentence to the user; all that stands in neither list is unsupported. */
const ANSWERED: [RegExp, string][] = [
  [/^QStartNoAckMode$/, 'OK'],
  [/^QNonStop:0$/, 'OK'],
  // There is nothing to stop: while the process runs this is an interrupt (conversation.ts).
  [/^vCtrlC$/, 'OK'],
  [/^QNonStop/, sentence(`non-stop mode ${CANNOT_TRAVEL}; use all-stop mode`)],
  [/^QT(?!hread)/, sentence(`tracepoints ${CANNOT_TRAVEL}; use breakpoints`)],
  [/^Qbtrace/, sentence(`branch tracing ${CANNOT_TRAVEL}`)],
  [/^vRun/, sentence('programs are started with `godwit run`, not by the debugger')],
  [/^vAttach/, sentence('other processes are attached with `godwit gdb JOB -p PID`')],
  // What `monitor` can do to gdbserver (end it, above all) is the stub's to decide.
  [/^qRcmd,/, Buffer.from('monitor commands are not served here\n').toString('hex')],
];

/** `size`: bytes of the largest packet that the debug server takes. */
export function judge(packet: string, size: number): Judgement {
  const answer = ANSWERED.find(([begins]) => begins.test(packet))?.[1];
  if (answer !== undefined) return { answer };
  const check = PASSED.find(([begins]) => begins.test(packet))?.[1];
  if (!check) return { answer: UNSUPPORTED };
  if (packet.length > size) return { answer: TOO_LONG };
  return check(packet, size) ? 'pass' : { answer: MALFORMED };
}
