/**
 * The bytecode of a breakpoint's condition (GDB manual, appendix "The GDB Agent Expression Mechanism"), which gdbserver
 * runs without looking where it goes: only what computes is let through, within its stack, and forwards. Pure.
 */

/** gdbserver's stack has 100 places. */
const MAX_DEPTH = 64;
/** gdb's numbers of the general and control registers, which every target description has from 0 on. */
const REGISTERS = process.arch === 'arm64' ? 68 : 60;
const BITS = 64;

interface Effect {
  /** Bytes that follow. */
  operand: 0 | 1 | 2 | 4 | 8;
  takes: number;
  gives: number;
}

const effect = (takes: number, gives: number, operand: Effect['operand'] = 0): Effect => ({
  takes,
  gives,
  operand,
});

const IF_GOTO = 0x20;
const GOTO = 0x21;
const REG = 0x26;
const END = 0x27;
const EXT = 0x16;
const ZERO_EXT = 0x2a;
const PICK = 0x32;

/** By their numbers (ax.def). Left out: floating point, which no stub implements, and what traces, sets or prints. */
const EFFECTS = new Map<number, Effect>([
  // add, sub, mul, div, rem, shifts.
  ...[0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b].map((op) => [op, effect(2, 1)] as const),
  // bit_and, bit_or, bit_xor, equal, less_signed, less_unsigned.
  ...[0x0f, 0x10, 0x11, 0x13, 0x14, 0x15].map((op) => [op, effect(2, 1)] as const),
  // log_not, bit_not, ref8, ref16, ref32, ref64.
  ...[0x0e, 0x12, 0x17, 0x18, 0x19, 0x1a].map((op) => [op, effect(1, 1)] as const),
  [EXT, effect(1, 1, 1)],
  [ZERO_EXT, effect(1, 1, 1)],
  [IF_GOTO, effect(1, 0, 2)],
  [GOTO, effect(0, 0, 2)],
  // const8, const16, const32, const64.
  [0x22, effect(0, 1, 1)],
  [0x23, effect(0, 1, 2)],
  [0x24, effect(0, 1, 4)],
  [0x25, effect(0, 1, 8)],
  [REG, effect(0, 1, 2)],
  [END, effect(1, 1)],
  // dup, pop, swap, rot.
  [0x28, effect(1, 2)],
  [0x29, effect(1, 0)],
  [0x2b, effect(2, 2)],
  [0x33, effect(3, 3)],
  [PICK, effect(1, 2, 1)],
]);

/** What is on the stack when each place is reached; null behind an `end` or a `goto`, unless something jumps there. */
interface Walk {
  depth: number | null;
  /** Places further on that are jumped to, and how much is on the stack then. */
  targets: Map<number, number>;
}

/** Can it be run to its end without harm? */
export function isSoundExpression(code: Buffer): boolean {
  const walk: Walk = { depth: 0, targets: new Map() };
  for (let at = 0; at < code.length; ) {
    const size = step(code, at, walk);
    if (size === null) return false;
    at += size;
  }
  // Nothing runs over its end, or jumps to where no instruction begins.
  return walk.depth === null && walk.targets.size === 0;
}

/** Bytes of the instruction at `at`; null if it must not be run. */
function step(code: Buffer, at: number, walk: Walk): number | null {
  const joined = walk.targets.get(at);
  walk.targets.delete(at);
  if (joined !== undefined && walk.depth !== null && walk.depth !== joined) return null;
  const depth = joined ?? walk.depth;
  const op = code[at]!;
  const found = EFFECTS.get(op);
  if (depth === null || !found || at + 1 + found.operand > code.length) return null;
  const operand = found.operand === 0 || found.operand === 8 ? 0 : code.readUIntBE(at + 1, found.operand);
  if (!isGoodOperand(op, operand, at)) return null;
  const takes = op === PICK ? operand + 1 : found.takes;
  const after = depth - found.takes + found.gives;
  if (depth < takes || after > MAX_DEPTH) return null;
  if (op === IF_GOTO || op === GOTO) {
    const known = walk.targets.get(operand);
    if (known !== undefined && known !== after) return null;
    walk.targets.set(operand, after);
  }
  walk.depth = op === END || op === GOTO ? null : after;
  return 1 + found.operand;
}

function isGoodOperand(op: number, operand: number, at: number): boolean {
  if (op === IF_GOTO || op === GOTO) return operand > at;
  if (op === REG) return operand < REGISTERS;
  if (op === EXT || op === ZERO_EXT) return operand > 0 && operand <= BITS;
  return true;
}
