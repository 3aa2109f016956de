/** The project's own files, and who imports whom: for the tests that keep its structure. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { posix } from 'node:path';
import { inProject } from './project';

/** What is made or installed, and what tests leave. */
const NOT_SOURCES = new Set(['.git', 'node_modules', 'dist', 'demo-pictures', 'test-results']);

/** Paths from the project's root; without git, which a copy of the sources need not be under. */
export const projectFiles: string[] = readdirSync(inProject())
  .filter((name) => !NOT_SOURCES.has(name))
  .flatMap((name) =>
    statSync(inProject(name)).isDirectory()
      ? readdirSync(inProject(name), { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => posix.relative(inProject(), posix.join(entry.parentPath, entry.name)))
      : [name],
  )
  .sort();

export const textOf = (path: string) => readFileSync(inProject(path), 'utf8');

export interface Import {
  from: string;
  to: string;
}

const known = new Set(projectFiles);

/** Of types, too: a change of what is imported concerns the importer. Without those of modules. */
export function importsOf(path: string): Import[] {
  const targets = [...textOf(path).matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'(\.[^']*)'/g)].map(([, to]) => to!);
  return targets.map((to) => {
    const base = posix.join(posix.dirname(path), to);
    const found = [base, `${base}.ts`, `${base}/index.ts`].find((candidate) => known.has(candidate));
    if (!found) throw new Error(`${path} imports ${to}, and there is no such file`);
    return { from: path, to: found };
  });
}

/** Of a C file or header, its own project's; those of the system are in angle brackets. */
export function includesOf(path: string): Import[] {
  return [...textOf(path).matchAll(/^[ \t]*#[ \t]*include[ \t]*"([^"]+)"/gm)].map(([, name]) => {
    const to = posix.join(posix.dirname(path), name!);
    if (!known.has(to)) throw new Error(`${path} includes ${name}, and there is no such file`);
    return { from: path, to };
  });
}

/** C without comments, which name functions as well. */
const codeOfC = (path: string) => textOf(path).replace(/\/\*[\s\S]*?\*\//g, '');

/** The functions that a C file has for others. */
const definedBy = (path: string) =>
  [...codeOfC(path).matchAll(/^(?!static\b)[a-z][^\n(;={]*?\b(\w+)\([^;{}]*\) \{/gm)].map(
    ([, name]) => name!,
  );

/** Which C files call functions of which others of their folder. */
export function callsAmong(paths: string[]): Import[] {
  const home = new Map(
    paths.flatMap((path) => definedBy(path).map((name) => [posix.join(posix.dirname(path), name), path])),
  );
  return paths.flatMap((from) => {
    const called = [...codeOfC(from).matchAll(/\b(\w+)\(/g)].map(([, name]) => name!);
    const homes = called.map((name) => home.get(posix.join(posix.dirname(from), name)));
    return [...new Set(homes)].filter((to) => to && to !== from).map((to) => ({ from, to: to! }));
  });
}

/** The first circle that is found, as the files on it; undefined if there is none. */
export function circleOf(imports: Import[]): string[] | undefined {
  const targets = new Map<string, string[]>();
  for (const { from, to } of imports) targets.set(from, [...(targets.get(from) ?? []), to]);
  const done = new Set<string>();
  const visit = (path: string, way: string[]): string[] | undefined => {
    if (way.includes(path)) return [...way.slice(way.indexOf(path)), path];
    if (done.has(path)) return undefined;
    for (const next of targets.get(path) ?? []) {
      const circle = visit(next, [...way, path]);
      if (circle) return circle;
    }
    done.add(path);
    return undefined;
  };
  for (const path of targets.keys()) {
    const circle = visit(path, []);
    if (circle) return circle;
  }
  return undefined;
}
