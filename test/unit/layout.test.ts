import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Layout } from '../../agent/daemon/jobs/layout';

let state: string;
beforeAll(() => {
  state = mkdtempSync(join(tmpdir(), 'godwit-layout-'));
});
afterAll(() => rmSync(state, { recursive: true }));

it('closes the folders of a node that users need not enter, also those that are there already', () => {
  for (const folder of ['roots', 'images', 'jobs', 'mounted']) {
    mkdirSync(join(state, folder));
    chmodSync(join(state, folder), 0o755);
  }
  new Layout(state).make();
  const modes = readdirSync(state).map((name) => [name, statSync(join(state, name)).mode & 0o777]);
  const closed = ['images', 'mounted', 'networks', 'reports', 'roots', 'served'].map((name) => [name, 0o700]);
  expect(Object.fromEntries(modes)).toEqual({ ...Object.fromEntries(closed), jobs: 0o711 });
});
