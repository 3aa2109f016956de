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

export async function makeWorkspace(original: Subject, folder: string): Promise<Workspace> {
  mkdirSync(join(folder, '.vscode'), { recursive: true });
  const source = join(folder, basename(original.source));
  cpSync(original.source, source);
  writeFileSync(join(folder, '.vscode', 'launch.json'), launchJson(original));
  const program = await compile(source, folder, original.name);
  return { folder, program, subject: { ...original, source } };
}

const launchJson = ({ name, args }: Subject) => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: VS Code's variable
  const program = '${workspaceFolder}/';
  const launch = {
    type: 'godwit',
    request: 'launch',
    name: `Debug ${name}, wherever it runs`,
    program: `${program}${name}`,
    args,
    node: 'node1',
  };
  return JSON.stringify({ version: '0.2.0', configurations: [launch] }, undefined, 2);
};
