// Bundles the programs, the extension and its webviews into dist/, and compiles what is in C.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { build } from 'esbuild';

const entries = {
  godwit: 'agent/command/main.ts',
  agent: 'agent/daemon/main.ts',
  keeper: 'agent/keeper/main.ts',
  extension: 'extension/extension.ts',
  adapter: 'adapter/main.ts',
  bench: 'test/bench/main.ts',
  'test/programs': 'test/programs/languages/main.ts',
  'test/zdtm': 'test/zdtm/main.ts',
  'test/what-moves': 'test/what-moves/main.ts',
  'test/machines': 'test/machines/main.ts',
  'test/man': 'test/man/main.ts',
  'test/databases': 'test/programs/databases/main.ts',
  'demo-gdb': 'test/demo/gdb/main.ts',
  'demo-vscode': 'test/demo/vscode/main.ts',
  chaos: 'test/chaos/main.ts',
  fuzz: 'test/fuzz/main.ts',
  'test/look': 'test/vscode/look.ts',
  'test/adapter-server': 'test/vscode/adapter-server-main.ts',
  'test/shim': 'test/vscode/shim.ts',
  'test/suite': 'test/vscode/suite/index.ts',
  'test/dying': 'test/vscode/suite/dying.ts',
};

/** zod says what is wrong in fifty languages: a fifth of each bundle, read at each start. Godwit speaks English. */
const inEnglish = {
  name: 'zod-in-english',
  setup: ({ onLoad }) =>
    onLoad({ filter: /zod\/v4\/locales\/index\.js$/ }, ({ path }) => ({
      contents: "export { default as en } from './en.js';",
      resolveDir: dirname(path),
    })),
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
  plugins: [inEnglish],
  logLevel: 'warning',
});
for (const program of ['dist/godwit.cjs', 'dist/test/shim.cjs'])
  if (existsSync(program)) chmodSync(program, 0o755);

// What the adapter loads into gdb.
rmSync('dist/gdb', { recursive: true, force: true });
cpSync('adapter/gdb/godwit', 'dist/gdb/godwit', {
  recursive: true,
  filter: (path) => !path.includes('__pycache__'),
});

// What a node gives to gdb.
cpSync('agent/debug/stacks/stacks.py', 'dist/godwit-stacks.py');

// What systemd is given.
cpSync('resources/godwit-agent.service', 'dist/godwit-agent.service');

// What a live node boots with.
rmSync('dist/godwit-live', { recursive: true, force: true });
cpSync('resources/live', 'dist/godwit-live', { recursive: true });

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

const WARNED = ['-std=gnu11', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror'];
const STRICT = ['-Wconversion'];
/** A mistake that is left ends the program, and is of less use to an attacker. */
const HARDENED = [
  '-O2',
  '-s',
  '-U_FORTIFY_SOURCE',
  '-D_FORTIFY_SOURCE=3',
  '-fstack-protector-strong',
  '-Wl,-z,relro,-z,now',
];
/**
 * Static: the helper runs inside a job's root, where no library of this machine can be relied on, and the home's files
 * need nothing of the machines that they are carried between. At an address that differs from run to run.
 */
const STATIC = [...HARDENED, '-static-pie', '-fPIE'];
/** With GODWIT_SANITIZE=1 programs end at their first mistake (scripts/test-sanitized.sh). */
const sanitized = process.env.GODWIT_SANITIZE === '1';
const WATCHED = ['-O1', '-g', '-fno-omit-frame-pointer', '-fno-sanitize-recover=all'];
const WITH_ASAN = [...WATCHED, '-fsanitize=address,undefined', 'scripts/sanitizer.c'];
/** AddressSanitizer needs a C library beside the program and terabytes of address space, which no job should have. */
const WITH_TRAPS = [...STATIC, ...WATCHED, '-fsanitize=undefined', '-fsanitize-undefined-trap-on-error'];

/** Made beside and renamed: a program that runs is never written into. */
function compile(binary, flags, parts) {
  execFileSync('cc', [...WARNED, ...flags, '-o', `${binary}.new`, ...parts], { stdio: 'inherit' });
  renameSync(`${binary}.new`, binary);
}

/** What each C program of Godwit's has: its arguments, and what it says. */
const COMMON = 'agent/native/common';

/** Compiles a folder's C into one program, if its sources are newer than that or it was made with other flags. */
function compileProgram(folder, binary, flags) {
  const sources = [folder, COMMON].flatMap((from) =>
    readdirSync(from)
      .filter((name) => /\.[ch]$/.test(name))
      .map((name) => `${from}/${name}`),
  );
  const parts = sources.filter((source) => source.endsWith('.c'));
  const made = `${binary}.made`;
  const by = [...WARNED, ...flags, ...parts].join(' ');
  const newest = Math.max(...sources.map((source) => statSync(source).mtimeMs));
  const isNew = existsSync(binary) && statSync(binary).mtimeMs >= newest;
  if (isNew && existsSync(made) && readFileSync(made, 'utf8') === by) return;
  compile(binary, flags, parts);
  writeFileSync(made, by);
}
compileProgram('agent/native/helper', 'dist/godwit-helper', sanitized ? WITH_TRAPS : STATIC);
const forHomefs = ['-pthread', ...STRICT, ...(sanitized ? WITH_ASAN : STATIC)];
compileProgram('agent/native/homefs', 'dist/godwit-homefs', forHomefs);

/** What is preloaded into a program of the machine's to mend one thing in it. */
const preloaded = (name, source) =>
  compile(`dist/${name}.so`, ['-shared', '-fPIC', ...STRICT, ...HARDENED], [source]);
preloaded('godwit-limits', 'agent/native/preload/limits.c');
preloaded('godwit-as-user', 'agent/native/preload/as-user.c');
preloaded('godwit-thread-timers', 'agent/native/preload/thread-timers.c');
preloaded('godwit-fifos', 'agent/native/preload/fifos.c');
preloaded('godwit-links', 'agent/native/preload/links.c');
preloaded('godwit-locks', 'agent/native/preload/locks.c');
preloaded('godwit-foreground', 'agent/native/preload/foreground.c');
preloaded('godwit-own-file', 'agent/native/preload/own-file.c');
preloaded('godwit-confined', 'agent/native/preload/confined.c');
if (process.arch === 'x64') preloaded('godwit-xstate', 'agent/native/preload/xstate.c');
