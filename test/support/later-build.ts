/**
 * Godwit as a later version may be: these sources, with other numbers, another helper's content, and members that tell
 * each other more. Nothing in the product knows of it.
 */
import { appendFileSync, cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { build } from 'esbuild';
import { type Versions, versionsText } from '../../agent/api/versions';
import { inProject } from './project';

export interface Later {
  /** As it says it of itself. */
  version: string;
  protocol: Versions;
  checkpoint: Versions;
  keeper: number;
}

const range = ({ oldest, newest }: Versions) => `{ oldest: ${oldest}, newest: ${newest} }`;

/** What is another in which file: each found once, or the build fails. */
const changesFor = ({
  version,
  protocol,
  checkpoint,
  keeper,
}: Later): Record<string, [RegExp, string][]> => ({
  'package.json': [[/"version": "[^"]+"/, `"version": "${version}"`]],
  'agent/api/versions.ts': [
    [/PROTOCOL: Versions = \{[^}]+\}/, `PROTOCOL: Versions = ${range(protocol)}`],
    [/CHECKPOINT: Versions = \{[^}]+\}/, `CHECKPOINT: Versions = ${range(checkpoint)}`],
    [/KEEPER = \d+/, `KEEPER = ${keeper}`],
  ],
  // A load record with one figure more, as this version has the others.
  'agent/api/membership.ts': [
    [/(export const LoadRecord = growing\([\s\S]+?)\n\);/, '$1\n  Amount.optional(),\n);'],
  ],
  'agent/daemon/membership/window.ts': [[/\[\.\.\.later, mark\];/, '[...later, mark, 7] as never;']],
});

/** @returns the folder of its programs, which lies where nodes with private files see it */
export async function laterBuild(folder: string, later: Later): Promise<string> {
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const changes = changesFor(later);
  const done = new Set<string>();
  await build({
    entryPoints: {
      godwit: inProject('agent', 'command', 'main.ts'),
      agent: inProject('agent', 'daemon', 'main.ts'),
      keeper: inProject('agent', 'keeper', 'main.ts'),
    },
    outdir: folder,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    external: ['bufferutil', 'utf-8-validate', '*.node'],
    logLevel: 'error',
    plugins: [
      {
        name: 'later',
        setup: (builder) =>
          builder.onLoad({ filter: /\.(ts|json)$/ }, ({ path }) => {
            const name = relative(inProject(), path);
            const here = changes[name];
            if (!here) return undefined;
            done.add(name);
            return { contents: changed(path, here), loader: name.endsWith('.json') ? 'json' : 'ts' };
          }),
      },
    ],
  });
  const missed = Object.keys(changes).filter((name) => !done.has(name));
  if (missed.length > 0) throw new Error(`no part of the later version: ${missed.join(', ')}`);
  for (const name of readdirSync(inProject('dist')))
    if (name.startsWith('godwit-') && !name.endsWith('.made')) bring(name, folder);
  // The kernel reads a program to where its sections end; the name that a node gives it comes of all that is in it.
  appendFileSync(
    join(folder, 'godwit-helper'),
    `Godwit ${later.version}, protocol ${versionsText(later.protocol)}`,
  );
  return folder;
}

const bring = (name: string, folder: string) =>
  cpSync(inProject('dist', name), join(folder, name), { recursive: true });

function changed(path: string, changes: [RegExp, string][]): string {
  let text = readFileSync(path, 'utf8');
  for (const [what, by] of changes) {
    if (!what.test(text)) throw new Error(`${path} has no ${what}`);
    text = text.replace(what, by);
  }
  return text;
}
