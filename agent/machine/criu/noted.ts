/** What `godwit-helper note` has written down of a frozen job (agent/native/helper/recognise.c has the lines). */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** In the image folder. */
export const NOTES = 'references';

export interface Noted {
  /** The process, as the job numbers it. */
  inner: number;
  /** `fd 5`, `map 7f00…`, `exe`, `cwd`, `root`. */
  slot: string;
  /** What must be the same after a restore. */
  token: string;
  /** What /proc calls it. */
  name: string;
}

export interface NotedDescriptor extends Noted {
  fd: number;
}

async function allNoted(images: string): Promise<Noted[]> {
  const text = await readFile(join(images, NOTES), 'utf8');
  return text.split('\n').map((line) => {
    const [inner, slot = '', token = '', ...name] = line.split('\t');
    return { inner: Number(inner), slot, token, name: name.join('\t') };
  });
}

/** The descriptors of all processes. */
export async function notedDescriptors(images: string): Promise<NotedDescriptor[]> {
  return (await allNoted(images)).flatMap((noted) => {
    const fd = /^fd (\d+)$/.exec(noted.slot)?.[1];
    return fd === undefined ? [] : [{ ...noted, fd: Number(fd) }];
  });
}

/** The names of files that are under them: those of the home, and of its host. */
export async function notedNames(images: string): Promise<Set<string>> {
  const found = (await allNoted(images)).filter(({ token }) => /^(file|host's) /.test(token));
  return new Set(found.map(({ name }) => name));
}
