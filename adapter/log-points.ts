/**
 * Log points, by a breakpoint class of gdb's Python: it never stops the program, so that a step over a log point stays
 * a step. (A `dprintf` loses the stop when its expression fails; a stop that is continued by the adapter ends a step.)
 */
import { LOG_BEGIN, LOG_END } from './chatter';

const python = (text: string) => `-interpreter-exec console ${quoted(`python ${text}`)}`;

/** As MI reads a C string. */
export const quoted = (text: string): string =>
  `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;

/** A Python literal. JSON's strings and lists are ones. */
const literal = (value: unknown): string =>
  value === undefined ? 'None' : JSON.stringify(value).replace(/[\u007f-\uffff]/g, escaped);
const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

const CLASS = `
class GodwitLogPoint(gdb.Breakpoint):
    def prepare(self, parts, condition):
        self.parts, self.only_if, self.silent = parts, condition, True
    def value(self, expression):
        try:
            return str(gdb.parse_and_eval(expression))
        except gdb.error as problem:
            return "<%s>" % problem
    def stop(self):
        try:
            if self.only_if and not gdb.parse_and_eval(self.only_if):
                return False
            text = "".join(self.value(part) if odd else part for part, odd in self.parts)
        except gdb.error as problem:
            text = "<%s: %s>" % (self.only_if, problem)
        gdb.write(${literal(LOG_BEGIN)} + text + ${literal(LOG_END)} + "\\n")
        gdb.flush()
        return False
`;

/** Makes the class known; gdb refuses where it was built without Python. */
export const DEFINE_LOG_POINTS = python(`exec(${literal(CLASS)})`);

/** Makes a log point and prints its number between the log's marks. */
export function logPointCommand(location: string, message: string, condition: string | undefined): string {
  const make = `point = GodwitLogPoint(${literal(location)})`;
  const prepare = `point.prepare(${pairs(message)}, ${literal(condition)})`;
  const tell = `gdb.write(${literal(LOG_BEGIN)} + str(point.number) + ${literal(LOG_END)} + "\\n")`;
  return python(`exec(${literal([make, prepare, tell].join('\n'))})`);
}

/** `at {x}: {y}` as text and expressions; `\{` is a brace. */
function pairs(message: string): string {
  const parts: [string, boolean][] = [];
  for (const [whole, expression] of message.matchAll(/\\[{}]|\{([^{}]+)\}|[^{}\\]+|./gs)) {
    if (expression !== undefined) parts.push([expression.trim(), true]);
    else parts.push([whole.length === 2 && whole.startsWith('\\') ? whole[1]! : whole, false]);
  }
  return `[${parts.map(([text, odd]) => `(${literal(text)}, ${odd ? 'True' : 'False'})`).join(', ')}]`;
}
