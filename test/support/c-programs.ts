/** C sources: compiled for the debugger, and searched for the line with a given text. */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { run } from './processes';
import { inProject } from './project';

/** `-ffp-contract=off`: the same digits on every processor. */
const FLAGS = ['-D_GNU_SOURCE', '-g', '-O0', '-pthread', '-ffp-contract=off', '-Wall', '-Wextra'];

/** As the programs of Godwit's are built with, when these tests run against sanitised ones (scripts/build.mjs). */
export const SANITIZED =
  process.env.GODWIT_SANITIZE === '1'
    ? ['-fsanitize=address,undefined', '-fno-sanitize-recover=all', inProject('scripts', 'sanitizer.c')]
    : [];

/** @returns the path of the program, in `folder` */
export async function compile(
  source: string,
  folder: string,
  name = basename(source, '.c'),
): Promise<string> {
  const program = join(folder, name);
  const { status, stderr } = await run(['gcc', ...FLAGS, '-o', program, source, '-lm']);
  if (status !== 0) throw new Error(`gcc could not compile ${source}: ${stderr}`);
  return program;
}

/** The number of the one line that contains `text`, from 1. */
export function lineOf(source: string, text: string): number {
  const lines = readFileSync(source, 'utf8').split('\n');
  const found = lines.flatMap((line, index) => (line.includes(text) ? [index + 1] : []));
  if (found.length !== 1) throw new Error(`${source} has ${found.length} lines with "${text}", not one`);
  return found[0]!;
}

export const lineCount = (source: string) => readFileSync(source, 'utf8').split('\n').length - 1;
