/** Versions of kernels and of programs, compared by their numbers. */

/** Compares dotted versions number by number. */
export function isAtLeast(version: string, least: string): boolean {
  const [have, need] = [version, least].map((text) => text.split('.').map(Number)) as [number[], number[]];
  for (let i = 0; i < Math.max(have.length, need.length); i++) {
    const difference = (have[i] ?? 0) - (need[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/** What stands before the first letter: 6.18.44 of `6.18.44-generic`, 0 where there is no number. */
export const numbers = (release: string) => /^[\d.]*\d/.exec(release)?.[0] ?? '0';

/** The first two numbers: versions that share them read and write the same. */
export const series = (version: string) => numbers(version).split('.').slice(0, 2).join('.');
