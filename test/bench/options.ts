/** What the benches of simulations take: `[SIZE…] [--json FILE] [--picture FILE]`. */
export interface SimulationOptions {
  /** All of them if empty. */
  sizes: number[];
  json: string | null;
  picture: string | null;
}

export function simulationOptions(words: readonly string[]): SimulationOptions {
  const options: SimulationOptions = { sizes: [], json: null, picture: null };
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (word === '--json') options.json = words[++at] ?? null;
    else if (word === '--picture') options.picture = words[++at] ?? null;
    else options.sizes.push(Number(word));
  }
  return options;
}
