/** The pages for people: no link that leads nowhere, no file named that is not there, none longer than a sitting. */
import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { projectFiles, textOf } from '../support/sources';

/** Read from the beginning to the end; the rest is looked things up in. */
const MOST_WORDS = 2_000;
/** Of pages with many tables. */
const MOST_WITH_TABLES = 2_200;
/** What a newcomer reads in ten minutes, with a picture; the promises, each with its tests. */
const WITH_TABLES = ['ARCHITECTURE.md', 'docs/security.md'];
/** Tables of what there is, each with its test; what others have written; all that has changed. */
const LOOKED_UP = ['docs/what-moves.md', 'THIRD_PARTY_NOTICES.md', 'CHANGELOG.md'];

const pages = projectFiles.filter((path) => path.endsWith('.md'));
/** Without what is shown as it is typed. */
const proseOf = (page: string) => textOf(page).replace(/^( {4}|```)[^\n]*$/gm, '');

const folders = new Set(projectFiles.flatMap((path) => foldersOf(path)));
function foldersOf(path: string): string[] {
  const folder = posix.dirname(path);
  return folder === '.' ? [] : [folder, ...foldersOf(folder)];
}

/** As GitHub makes it of a heading. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
const anchorsOf = (page: string) =>
  [...proseOf(page).matchAll(/^#+ (.+)$/gm)].map(([, heading]) => anchorOf(heading!));

function leads(page: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? page : posix.normalize(posix.join(posix.dirname(page), path));
  if (!projectFiles.includes(target) && !folders.has(target)) return false;
  return anchor === undefined || anchorsOf(target).includes(anchor);
}

/** A file's path or the end of one, as it is named in the text; not folders, patterns and what has a NAME in capitals. */
const named = (page: string) =>
  [...proseOf(page).matchAll(/`([A-Za-z][\w./-]*\.(?:ts|c|h|mjs|sh|css|service))`/g)].map(
    ([, path]) => path!,
  );
const isThere = (path: string) => projectFiles.some((file) => file === path || file.endsWith(`/${path}`));

describe.each(pages)('%s', (page) => {
  it('leads somewhere', () => {
    const links = [...proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link!);
    expect(links.filter((link) => !/^(https?|command):/.test(link) && !leads(page, link))).toEqual([]);
  });

  it('names files that are there', () => {
    expect(named(page).filter((path) => !/\b[A-Z]{3,}\b/.test(path) && !isThere(path))).toEqual([]);
  });

  it.skipIf(LOOKED_UP.includes(page))('is read in one sitting', () => {
    const most = WITH_TABLES.includes(page) ? MOST_WITH_TABLES : MOST_WORDS;
    expect(textOf(page).split(/\s+/).length).toBeLessThan(most);
  });
});

describe('the pages', () => {
  it('are all reached from the README', () => {
    const reached = new Set<string>();
    const follow = (page: string) => {
      if (reached.has(page)) return;
      reached.add(page);
      for (const [, link] of textOf(page).matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)) {
        const target = posix.normalize(posix.join(posix.dirname(page), link!));
        if (pages.includes(target)) follow(target);
      }
    };
    follow('README.md');
    expect(pages.filter((page) => /^[A-Z]|^docs\//.test(page) && !reached.has(page))).toEqual([]);
  });
});
