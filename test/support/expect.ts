/** What must be so, said in words: the message is for a person who has only it. */

export class NotAsExpected extends Error {}

/** How much of a long value a message shows. */
const SHOWN = 2_000;
const shown = (value: unknown) => {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
};

export function expectThat(what: string, is: boolean, instead = ''): void {
  if (!is) throw new NotAsExpected(`not so: ${what}${instead && `; but: ${shown(instead)}`}`);
}

export function expectEqual<T extends string | number | null | undefined>(
  what: string,
  is: T,
  should: T,
): void {
  if (is === should) return;
  throw new NotAsExpected(
    `${what}: is ${shown(is)}, should be ${shown(should)}${firstDifference(is, should)}`,
  );
}

/** Of two long texts, the first line in which they differ. */
function firstDifference(is: unknown, should: unknown): string {
  if (typeof is !== 'string' || typeof should !== 'string' || !`${is}${should}`.includes('\n')) return '';
  const [left, right] = [is.split('\n'), should.split('\n')];
  const index = left.findIndex((line, at) => line !== right[at]);
  const at = index < 0 ? left.length : index;
  const [one, other] = [left, right].map((lines) => shown(lines[at] ?? ''));
  return `; they differ first in line ${at + 1}: "${one}" and "${other}"`;
}
