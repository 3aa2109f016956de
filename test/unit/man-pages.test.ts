/** The man pages are those that the command's definitions give. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { manPages } from '../man/pages';
import { inProject } from '../support/project';

const folder = inProject('docs', 'man');
const pages = [...(await manPages())];
const hasMan = spawnSync('groff', ['--version']).status === 0;

describe('the man pages', () => {
  it('are one for the command and one for each verb', () => {
    expect(readdirSync(folder).sort()).toEqual(pages.map(([name]) => name).sort());
  });

  it.each(pages)('%s is what the command says (`npm run docs:man`)', (name, text) => {
    expect(readFileSync(inProject('docs', 'man', name), 'utf8')).toBe(text);
  });

  it.skipIf(!hasMan).each(pages)('%s is read without a warning', (name, input) => {
    const { stdout, stderr } = spawnSync('groff', ['-man', '-Tutf8', '-Kutf8', '-wall'], {
      input,
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(stdout).toContain(`${name.replace('.1', '').toUpperCase()}(1)`);
  });
});
