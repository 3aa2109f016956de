/** The message of a log point. */

/** `at {x}: {y}` as texts and (`true`) expressions; `\{` is a brace. */
export function logParts(message: string): [string, boolean][] {
  const parts: [string, boolean][] = [];
  for (const [whole, expression] of message.matchAll(/\\[{}]|\{([^{}]+)\}|[^{}\\]+|./gs)) {
    if (expression !== undefined) parts.push([expression.trim(), true]);
    else parts.push([whole.length === 2 && whole.startsWith('\\') ? whole[1]! : whole, false]);
  }
  return parts;
}
