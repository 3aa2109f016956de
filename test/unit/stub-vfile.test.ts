/** The job's files for its debugger; this process stands for the job. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ROOT } from '../../agent/api/model';
import { unescapeBinary } from '../../agent/debug/rsp/codec';
import { JobFiles } from '../../agent/debug/stub/vfile';
import { inProject } from '../support/project';

const helper = inProject('dist', 'godwit-helper');

let folder: string;
let paths: Record<string, string>;
let files: JobFiles;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-vfile-'));
  paths = {};
  files = new JobFiles({ helper, owner: ROOT, init: process.pid }, paths);
});
afterEach(() => {
  files.close();
  rmSync(folder, { recursive: true, force: true });
});

const hex = (text: string) => Buffer.from(text).toString('hex');
const open = async (path: string, flags = 0) =>
  await files.answer(`vFile:open:${hex(path)},${flags.toString(16)},0`);
function data(answer: string): Buffer {
  const [size, bytes = ''] = [answer.slice(1, answer.indexOf(';')), answer.slice(answer.indexOf(';') + 1)];
  const plain = unescapeBinary(bytes);
  expect(plain).toHaveLength(Number.parseInt(size, 16));
  return plain;
}

test('a file is opened, read in pieces, measured and closed', async () => {
  const content = Buffer.from(Array.from({ length: 70_000 }, (_, index) => index % 256));
  writeFileSync(join(folder, 'file'), content);
  expect(await open(join(folder, 'file'))).toBe('F0');
  const pieces: Buffer[] = [];
  for (let at = 0; ; at += pieces.at(-1)!.length) {
    pieces.push(data(await files.answer(`vFile:pread:0,3000,${at.toString(16)}`)));
    if (pieces.at(-1)!.length === 0) break;
  }
  expect(Buffer.concat(pieces).equals(content)).toBe(true);
  const stat = data(await files.answer('vFile:fstat:0'));
  expect(stat).toHaveLength(64);
  expect(stat.readBigUInt64BE(28)).toBe(70_000n);
  expect(await files.answer('vFile:close:0')).toBe('F0');
  expect(await files.answer('vFile:pread:0,10,0')).toBe('F-1,9');
});

test('handles survive a move: another end opens them by their paths', async () => {
  writeFileSync(join(folder, 'file'), 'content');
  await open(join(folder, 'file'));
  files.close();
  files = new JobFiles({ helper, owner: ROOT, init: process.pid }, paths);
  expect(data(await files.answer('vFile:pread:0,100,3')).toString()).toBe('tent');
});

test('nothing is written, and nothing but files is opened', async () => {
  expect(await open(join(folder, 'new'), 0x201)).toBe('F-1,1e');
  expect(await files.answer(`vFile:unlink:${hex(join(folder, 'x'))}`)).toBe('F-1,1e');
  expect(await files.answer('vFile:pwrite:0,0,x')).toBe('F-1,1e');
  expect(await open(folder)).toBe('F-1,15');
  expect(await open('/dev/null')).toBe('F-1,d');
  expect(await open(join(folder, 'absent'))).toBe('F-1,2');
  expect(await open('relative')).toBe('F-1,16');
  expect(await files.answer('vFile:unheard-of:1')).toBe('');
});

test('links are followed inside the root, and read', async () => {
  mkdirSync(join(folder, 'sub'));
  writeFileSync(join(folder, 'file'), 'content');
  symlinkSync(join(folder, 'file'), join(folder, 'sub', 'absolute'));
  symlinkSync('../file', join(folder, 'sub', 'relative'));
  symlinkSync('loop', join(folder, 'loop'));
  for (const name of ['absolute', 'relative'])
    expect(await open(join(folder, 'sub', name))).toMatch(/^F[01]$/);
  expect(await open(`/../../..${folder}/sub/../file`)).toBe('F2');
  expect(await open(join(folder, 'loop'))).toBe('F-1,16');
  expect(data(await files.answer(`vFile:readlink:${hex(join(folder, 'sub', 'relative'))}`)).toString()).toBe(
    '../file',
  );
  expect(await files.answer(`vFile:readlink:${hex(join(folder, 'file'))}`)).toBe('F-1,16');
});

test('so many files at once, and no more', async () => {
  writeFileSync(join(folder, 'file'), '');
  const answers: string[] = [];
  for (let asked = 0; asked < 300; asked++) answers.push(await open(join(folder, 'file')));
  expect(answers.filter((answer) => answer === 'F-1,18').length).toBe(300 - 256);
});
