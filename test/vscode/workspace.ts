/** A folder as a person would have it open: a C file, the program made of it, a launch.json. */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { compile } from '../support/c-programs';
import type { Subject } from '../support/subject';

export interface Workspace {
  folder: string;
  program: string;
  /** With the copy of its source that is in the folder. */
  subject: Subject;
}

/** @param more configurations of launch.json besides the one that launches the subject; each gets what it leaves out */
export async function makeWorkspace(
  original: Subject,
  folder: string,
  more: Configuration[] = [],
): Promise<Workspace> {
  mkdirSync(join(folder, '.vscode'), { recursive: true });
  const source = join(folder, basename(original.source));
  cpSync(original.source, source);
  writeFileSync(join(folder, '.vscode', 'launch.json'), launchJson(original, more));
  const program = await compile(source, folder, original.name);
  return { folder, program, subject: { ...original, source } };
}

interface Configuration extends Record<string, unknown> {
  name: string;
}

function launchJson({ name, args }: Subject, more: Configuration[]): string {
  const program = `\${workspaceFolder}/${name}`;
  const launch = { type: 'godwit', request: 'launch', name: `Debug ${name}`, program, args, node: 'node1' };
  const configurations = [launch, ...more.map((one) => ({ ...launch, ...one }))];
  return JSON.stringify({ version: '0.2.0', configurations }, undefined, 2);
}
