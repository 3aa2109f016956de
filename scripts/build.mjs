// Bundles the programs, the extension and its webviews into dist/, and compiles what is in C.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { build } from 'esbuild';

const entries = {
  godwit: 'agent/cli/main.ts',
  agent: 'agent/main.ts',
  keeper: 'agent/keeper/main.ts',
  extension: 'extension/extension.ts',
  adapter: 'adapter/main.ts',
  bench: 'test/bench/main.ts',
  'test/programs': 'test/programs/languages/main.ts',
  'demo-gdb': 'test/demo/gdb/main.ts',
  'demo-vscode': 'test/demo/vscode/main.ts',
  chaos: 'test/chaos/main.ts',
  fuzz: 'test/fuzz/main.ts',
  'test/look': 'test/vscode/look.ts',
  'test/shim': 'test/vscode/shim.ts',
  'test/suite': 'test/vscode/suite/index.ts',
  'test/dying': 'test/vscode/suite/dying.ts',
};

mkdirSync('dist', { recursive: true });
await build({
  entryPoints: Object.fromEntries(Object.entries(entries).filter(([, source]) => existsSync(source))),
  outdir: 'dist',
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  sourcemap: true,
  // What is optional, what VS Code gives to its extensions, and what only tests need from the modules.
  external: ['bufferutil', 'utf-8-validate', 'vscode', 'playwright-core', 'mocha', '*.node'],
  // cdt-gdb-adapter's way to boards on a serial line: native, and of no use here.
  alias: { serialport: './adapter/serialport.ts' },
  banner: { js: '#!/usr/bin/env node' },
  logLevel: 'warning',
});
for (const program of ['dist/godwit.cjs', 'dist/test/shim.cjs'])
  if (existsSync(program)) chmodSync(program, 0o755);

// Each webview is one script and one style sheet, which is all that its policy lets it load.
await build({
  entryPoints: ['load', 'timeline', 'console'].map((name) => ({
    in: `webviews/${name}/main.ts`,
    out: name,
  })),
  outdir: 'dist/webviews',
  bundle: true,
  minify: true,
  platform: 'browser',
  target: 'chrome128',
  format: 'iife',
  logLevel: 'warning',
});

const WARNED = ['-std=gnu11', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Werror', '-s'];

/** Made beside and renamed: a program that runs is never written into. */
function compile(binary, flags, parts) {
  execFileSync('cc', [...WARNED, ...flags, '-o', `${binary}.new`, ...parts], { stdio: 'inherit' });
  renameSync(`${binary}.new`, binary);
}

/** What each C program of Godwit's has: its arguments, and what it says. */
const COMMON = 'agent/command';

/** Compiles a folder's C into one static program, if its sources are newer than that. */
function compileStatic(folder, binary, more = []) {
  const sources = [folder, COMMON].flatMap((from) =>
    readdirSync(from)
      .filter((name) => /\.[ch]$/.test(name))
      .map((name) => `${from}/${name}`),
  );
  const newest = Math.max(...sources.map((source) => statSync(source).mtimeMs));
  if (existsSync(binary) && statSync(binary).mtimeMs >= newest) return;
  const parts = sources.filter((source) => source.endsWith('.c'));
  compile(binary, ['-static', ...more], parts);
}
// Static: it runs inside a job's root, where no library of this machine can be relied on.
compileStatic('agent/helper', 'dist/godwit-helper');
// Static: the home's files need nothing of the machines that they are carried between.
compileStatic('agent/homefs', 'dist/godwit-homefs', ['-pthread']);

/** What is preloaded into a program of the machine's to mend one thing in it. */
const preloaded = (name, source) => compile(`dist/${name}.so`, ['-shared', '-fPIC'], [source]);
preloaded('godwit-limits', 'agent/checkpoint/limits.c');
preloaded('godwit-own-file', 'agent/debug/own-file.c');
if (process.arch === 'x64') preloaded('godwit-xstate', 'agent/debug/xstate.c');
