import { defineConfig } from 'vitest/config';

/** Labs of different names don't know of each other; some at a time, for they wait about as much as they compute. */
const inLabs = {
  maxWorkers: 3,
  testTimeout: 300_000,
  hookTimeout: 300_000,
  sequence: { groupOrder: 1 },
};

/** `unit` and `timed` need no rights; `cluster`, `attacks`, `vscode` and `slurm` need root, and bring labs up. */
export default defineConfig({
  test: {
    // Of what runs in the tests' own processes, which is what unit tests are about: `npm run test:unit`.
    coverage: {
      provider: 'v8',
      reportOnFailure: true,
      include: ['agent/**/*.ts', 'adapter/**/*.ts', 'extension/**/*.ts', 'webviews/**/*.ts'],
      reporter: ['text-summary', 'json-summary'],
      reportsDirectory: 'test-results/coverage',
      // What is covered stays so: raised when it has grown, never lowered.
      thresholds: { lines: 41, branches: 39, functions: 34 },
    },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          // They wait more than they compute; by itself vitest would leave one core of two unused.
          maxWorkers: 3,
          // What takes a second here may take a minute on a machine that does much else.
          testTimeout: 120_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          // They compare times: alone, and not instrumented.
          name: 'timed',
          include: ['test/timed/*.test.ts'],
        },
      },
      {
        test: {
          ...inLabs,
          name: 'cluster',
          include: ['test/cluster/**/*.test.ts'],
        },
      },
      {
        test: {
          ...inLabs,
          name: 'attacks',
          include: ['test/attacks/**/*.test.ts'],
        },
      },
      {
        test: {
          ...inLabs,
          name: 'vscode',
          include: ['test/vscode/*.test.ts'],
        },
      },
      {
        test: {
          ...inLabs,
          name: 'slurm',
          include: ['test/slurm/*.test.ts'],
        },
      },
    ],
  },
});
