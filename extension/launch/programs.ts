/** Programs to be launched: found in the workspace, remembered, or typed with completion. */
import { constants, type Dirent } from 'node:fs';
import { access, open, readdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { CancellationTokenSource, ThemeIcon, Uri, window, workspace } from 'vscode';
import { plain } from '../../agent/api/plain';
import { askToPick, type BACK, type Choice, type Dismissed, type Position } from '../prompts/steps';

/** Files of the workspace that are looked at, and how long: a large tree must not keep a person waiting. */
const FILES_LOOKED_AT = 3_000;
const LOOK_WITHIN_MS = 1_500;
const PROGRAMS_SHOWN = 40;
const COMPLETIONS_SHOWN = 50;
/** Folders of tools, where people keep no programs of their own. */
const NOT_IN = '**/{.git,.svn,node_modules,CMakeFiles,.venv,.cache}/**';
/** Bytes that begin an ELF file (elf(5)) and a script (execve(2)). */
const ELF = '\x7fELF';
const SCRIPT = '#!';
/** What a program's name does not end with, even if it has execute permission. */
const NOT_A_PROGRAM = /\.(so(\.\d+)*|o|a|c|cc|cpp|h|hpp|rs|go|f90|md|txt|json|ya?ml)$/i;

export interface ProgramQuestion extends Position {
  /** What was launched before, latest first. */
  recent: readonly string[];
  /** A debugger wants machine code; a job may be a script. */
  scripts: boolean;
}

/** The folder that relative paths begin at. */
export const baseFolder = (): string => workspace.workspaceFolders?.[0]?.uri.fsPath ?? homedir();

const BROWSE = Symbol('browse');

/** An absolute path, or a bare name that is looked for in PATH. */
export async function askForProgram(question: ProgramQuestion): Promise<string | typeof BACK | Dismissed> {
  const here = await programsHere(question.scripts);
  const offered = offer(question.recent, here);
  const picked = await askToPick<string | typeof BROWSE>({
    ...question,
    placeholder: 'The program to launch: pick one, or type its path',
    items: offered,
    complete: async (typed) => [...(await completions(typed, question.scripts)), ...offered],
    onTheWay: (value) => (typeof value === 'string' && value.endsWith('/') ? value : undefined),
  });
  if (picked === BROWSE) return browse();
  return typeof picked === 'string' && picked.includes('/') ? fullPath(picked) : (picked as string);
}

/** As the shell has it: `~` is home, and what is relative begins at the workspace. */
export function fullPath(typed: string): string {
  if (typed === '~' || typed.startsWith('~/')) return join(homedir(), typed.slice(1));
  return isAbsolute(typed) ? typed : resolve(baseFolder(), typed);
}

function offer(recent: readonly string[], here: readonly string[]): Choice<string | typeof BROWSE>[] {
  const choice = (path: string, icon: string): Choice<string> => ({
    label: plain(basename(path)),
    description: plain(shown(dirname(path))),
    iconPath: new ThemeIcon(icon),
    value: path,
  });
  return [
    ...recent.map((path) => choice(path, 'history')),
    ...here.filter((path) => !recent.includes(path)).map((path) => choice(path, 'file-binary')),
    {
      label: plain('Browse…'),
      iconPath: new ThemeIcon('folder-opened'),
      alwaysShow: true,
      value: BROWSE,
    },
  ];
}

function shown(folder: string): string {
  const from = relative(baseFolder(), folder);
  return from === '' ? '.' : from.startsWith('..') ? folder : `./${from}`;
}

async function browse(): Promise<string | Dismissed> {
  const [file] =
    (await window.showOpenDialog({
      title: 'The program to launch',
      openLabel: 'Launch',
      defaultUri: Uri.file(baseFolder()),
    })) ?? [];
  return file?.fsPath;
}

/** The workspace's executables, the newest first: what was just built is what is wanted. */
async function programsHere(scripts: boolean): Promise<string[]> {
  const patience = new CancellationTokenSource();
  const timer = setTimeout(() => patience.cancel(), LOOK_WITHIN_MS);
  try {
    const files = await workspace.findFiles('**/*', NOT_IN, FILES_LOOKED_AT, patience.token);
    const looked = await Promise.all(files.map(({ fsPath }) => lookAt(fsPath, scripts)));
    return looked
      .filter((program) => program !== null)
      .sort((a, b) => b.changed - a.changed)
      .slice(0, PROGRAMS_SHOWN)
      .map(({ path }) => path);
  } finally {
    clearTimeout(timer);
    patience.dispose();
  }
}

/** Null when it is none. */
async function lookAt(path: string, scripts: boolean): Promise<{ path: string; changed: number } | null> {
  if (NOT_A_PROGRAM.test(path) || !(await isExecutable(path, scripts))) return null;
  const { mtimeMs } = await stat(path);
  return { path, changed: mtimeMs };
}

export async function isExecutable(path: string, scripts: boolean): Promise<boolean> {
  try {
    if (!(await stat(path)).isFile()) return false;
    await access(path, constants.X_OK);
    const file = await open(path);
    try {
      const { buffer } = await file.read(Buffer.alloc(ELF.length), 0, ELF.length, 0);
      const begin = buffer.toString('latin1');
      return begin === ELF || (scripts && begin.startsWith(SCRIPT));
    } finally {
      await file.close();
    }
  } catch {
    return false;
  }
}

/** For a path that is being typed: the entries of its folder, and the text itself. */
async function completions(typed: string, scripts: boolean): Promise<Choice<string>[]> {
  const text = typed.trim();
  if (text === '') return [];
  const asTyped: Choice<string> = {
    label: plain(text),
    description: plain(text.includes('/') ? 'this path' : 'looked for in PATH'),
    iconPath: new ThemeIcon('arrow-right'),
    alwaysShow: true,
    value: text,
  };
  if (!text.includes('/')) return [asTyped];
  const folder = text.slice(0, text.lastIndexOf('/') + 1);
  const begin = text.slice(folder.length);
  const entries = await readdir(fullPath(folder), { withFileTypes: true }).catch((): Dirent[] => []);
  const fitting = entries
    .filter(({ name }) => name.startsWith(begin) && (begin !== '' || !name.startsWith('.')))
    .slice(0, COMPLETIONS_SHOWN);
  const found = await Promise.all(fitting.map((entry) => completion(folder, entry, scripts)));
  const complete = found.filter((choice) => choice !== null);
  const exact = complete.some(({ value }) => value === text);
  return exact || text.endsWith('/') ? complete : [asTyped, ...complete];
}

async function completion(folder: string, entry: Dirent, scripts: boolean): Promise<Choice<string> | null> {
  const path = folder + entry.name;
  const common = { alwaysShow: true };
  if (entry.isDirectory())
    return { ...common, label: plain(`${path}/`), iconPath: new ThemeIcon('folder'), value: `${path}/` };
  if (!(await isExecutable(fullPath(path), scripts))) return null;
  return { ...common, label: plain(path), iconPath: new ThemeIcon('file-binary'), value: path };
}
