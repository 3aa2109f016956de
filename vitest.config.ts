import { defineConfig } from 'vitest/config';

const onItsOwn = { fileParallelism: false, maxWorkers: 1, testTimeout: 120_000, hookTimeout: 120_000 };

/**
 * `unit` needs no rights and no time; `cluster` and `vscode` need root and this machine's processes to themselves.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: { name: 'unit', include: ['test/unit/**/*.test.ts'], sequence: { groupOrder: 0 } },
      },
      {
        test: {
          ...onItsOwn,
          name: 'cluster',
          include: ['test/cluster/**/*.test.ts'],
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...onItsOwn,
          name: 'vscode',
          include: ['test/vscode/*.test.ts'],
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
