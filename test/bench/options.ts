/** What a bench is given: `[NUMBER…] [WORD…] [--simulate] [--json FILE] [--picture FILE]`. */
export interface BenchOptions {
  numbers: number[];
  words: string[];
  simulate: boolean;
  json: string | null;
  picture: string | null;
}

export function benchOptions(args: readonly string[]): BenchOptions {
  const options: BenchOptions = { numbers: [], words: [], simulate: false, json: null, picture: null };
  for (let at = 0; at < args.length; at++) {
    const word = args[at]!;
    if (word === '--json') options.json = args[++at] ?? null;
    else if (word === '--picture') options.picture = args[++at] ?? null;
    else if (word === '--simulate') options.simulate = true;
    else if (/^\d+$/.test(word)) options.numbers.push(Number(word));
    else options.words.push(word);
  }
  return options;
}
