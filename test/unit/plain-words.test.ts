/** What programs say to people, without the words that make riddles of it. */
import { transform } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { projectFiles, textOf } from '../support/sources';

const RIDDLES = /\b(whoever|nobody|for ever|(is|are) told)\b/i;
/** In comments as well; in those of tests only the first, as a user can be called `nobody`. */
const VAGUE = /\b(whoever|nobody|somebody)\b/i;
const VAGUE_IN_TESTS = /\bwhoever\b/i;

const sources = projectFiles.filter((path) => /^(adapter|agent|extension|webviews)\/.*\.ts$/.test(path));

/** Without comments: what is left of such words is in texts. */
const codeOf = async (path: string) =>
  (await transform(textOf(path), { loader: 'ts', minifyWhitespace: true, legalComments: 'none' })).code;

/** With some of the text around each. */
const riddlesIn = (text: string) =>
  [...text.matchAll(new RegExp(`.{0,60}${RIDDLES.source}.{0,60}`, 'gi'))].map(([found]) => found);

describe('messages, fixes and descriptions', () => {
  it('have none of the words that leave open who or what is meant', async () => {
    expect(sources.length).toBeGreaterThan(100);
    const found = await Promise.all(
      sources.map(async (path) => riddlesIn(await codeOf(path)).map((text) => `${path}: ${text}`)),
    );
    expect(found.flat()).toEqual([]);
  });

  it.each(projectFiles.filter((path) => /^docs\/man\/.*\.1$/.test(path)))('%s neither', (page) => {
    expect(riddlesIn(textOf(page))).toEqual([]);
  });
});

describe('comments, the titles of tests, and pages', () => {
  const written = projectFiles.filter(
    (path) => /\.(ts|mjs|[ch]|py|sh|css|md)$/.test(path) && !path.endsWith('plain-words.test.ts'),
  );

  it('say who is meant', () => {
    expect(written.length).toBeGreaterThan(400);
    const vague = written.filter((path) =>
      (path.startsWith('test/') ? VAGUE_IN_TESTS : VAGUE).test(textOf(path)),
    );
    expect(vague).toEqual([]);
  });
});
