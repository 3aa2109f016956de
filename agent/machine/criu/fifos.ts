/**
 * Readers of FIFOs see that a writer has gone if one has been there. Which of a frozen job's are, is noted at the
 * source; CRIU restores with a library that brings it back so (fifos.c), and the copy is checked before it is accepted.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GodwitError } from '../../api/errors';
import { askOf, type Frozen } from './frozen';
import { type NotedDescriptor, notedDescriptors } from './noted';

const FILE = 'fifos';
const DEADLINE_MS = 10_000;
/** In a token, S_IFIFO (inode(7)); that distinguishes pipes without a name. */
const FIFO = /^\S+ 10000 /;
const DELETED = / \(deleted\)$/;

/** A reader, and whether it sees that a writer has gone. */
interface Reader extends Pick<NotedDescriptor, 'inner' | 'fd' | 'name'> {
  state: string;
}

async function readersOf(frozen: Frozen, noted: NotedDescriptor[]): Promise<Reader[]> {
  const fifos = noted.filter(({ token, name }) => FIFO.test(token) && name.startsWith('/'));
  if (fifos.length === 0) return [];
  const all = await askOf(frozen, 'fifos', fifos, DEADLINE_MS).catch(({ message }: Error) => {
    throw failed(message);
  });
  return all.map(({ inner, fd, said: state }) => {
    const { name } = fifos.find((one) => one.inner === inner && one.fd === fd)!;
    return { inner, fd, name: name.replace(DELETED, ''), state };
  });
}

const lineOf = ({ state, inner, fd, name }: Reader) => `${state}\t${inner}\t${fd}\t${name}\n`;

/** `noted`: what the frozen job holds; one without FIFOs costs no more. */
export async function noteFifos(frozen: Frozen, noted: NotedDescriptor[]): Promise<void> {
  const readers = await readersOf(frozen, noted);
  if (readers.length > 0) await writeFile(join(frozen.images, FILE), readers.map(lineOf).join(''));
}

/** The environment by which CRIU restores them so; it needs the file no more once it has started. */
export const withFifos = (images: string): Record<string, string> => ({
  LD_PRELOAD: join(__dirname, 'godwit-fifos.so'),
  GODWIT_FIFOS: join(images, FILE),
});

/** Of a restored, frozen job that has been recognised. @throws GodwitError `fifo-failed` */
export async function recogniseFifos(frozen: Frozen): Promise<void> {
  const noted = await readFile(join(frozen.images, FILE), 'utf8').catch(() => '');
  if (noted === '') return;
  const readers = await readersOf(frozen, await notedDescriptors(frozen.images));
  const found = new Set(readers.map(lineOf));
  const other = noted.split('\n').find((line) => line !== '' && !found.has(`${line}\n`));
  if (other === undefined) return;
  const [, inner, fd, name] = other.split('\t');
  throw failed(
    `descriptor ${fd} of process ${inner}, ${name}, would be told wrongly whether a writer has gone`,
  );
}

const failed = (why: string) =>
  new GodwitError({ code: 'fifo-failed', message: `the job's FIFOs can't be carried: ${why}` });
