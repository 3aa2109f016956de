/** Keys of a launch configuration that mean nothing: mostly they are misspelt. */

/** What the editor itself has in configurations. Those that it adds for itself begin with two underscores. */
const EDITORS = [
  'debugServer',
  'internalConsoleOptions',
  'linux',
  'name',
  'noDebug',
  'osx',
  'postDebugTask',
  'preLaunchTask',
  'presentation',
  'preRestartTask',
  'postRestartTask',
  'request',
  'restart',
  'serverReadyAction',
  'suppressMultipleSessionWarning',
  'type',
  'windows',
];

/** A sentence for each that is not known. */
export function unknownKeys(known: readonly string[], configuration: object): string[] {
  const strange = Object.keys(configuration).filter(
    (key) => !key.startsWith('__') && !known.includes(key) && !EDITORS.includes(key),
  );
  return strange.map((key) => {
    const near = known.find((name) => distance(key.toLowerCase(), name.toLowerCase()) <= 2);
    const instead = near ? `; did you mean "${near}"?` : '';
    return `"${key}" is not known to this debug configuration and was ignored${instead}`;
  });
}

/** How many letters must be put in, taken out or changed (Levenshtein). */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (const [at, letter] of [...one].entries()) {
    const next = [at + 1];
    for (const [column, second] of [...other].entries())
      next.push(
        Math.min(row[column]! + (letter === second ? 0 : 1), row[column + 1]! + 1, next[column]! + 1),
      );
    row = next;
  }
  return row[other.length]!;
}
