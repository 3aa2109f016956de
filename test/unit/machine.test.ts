/** What a destination must have for a job, as the preflight says it. */
import { freemem, tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { size } from '../../agent/api/figures';
import { nodeObstacles, thisMachine } from '../../agent/checkpoint/machine';

async function obstacles(bytes: number) {
  const from = await thisMachine();
  return await nodeObstacles('node3', { bytes, from, ports: [], images: tmpdir() });
}

test('the image and the restored job must fit into memory together', async () => {
  // It would fit once.
  const bytes = Math.round(0.75 * freemem());
  const found = (await obstacles(bytes)).find(({ code }) => code === 'no-memory');
  expect(found?.what).toMatch(/^node3 has \d.* of memory free, and the move takes \d/);
  expect(found?.what).toContain(`the move takes ${size(2 * bytes)}`);
  expect(found?.fix).toContain('another node');
});

test('what fits twice is no obstacle', async () => {
  expect((await obstacles(1024)).map(({ code }) => code)).not.toContain('no-memory');
});
