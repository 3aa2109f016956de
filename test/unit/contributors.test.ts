/** What a contributor's editor and forge read: each names things that are there. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { unitOf } from '../../agent/joining/unit';
import { projectFiles, textOf } from '../support/sources';

/** JSON with comments on lines of their own, as VS Code reads it. */
const commented = (path: string) => JSON.parse(textOf(path).replace(/^\s*\/\/.*$/gm, ''));

interface Configuration {
  name: string;
  preLaunchTask?: string;
  program?: string;
}

const { configurations, compounds } = commented('.vscode/launch.json');
const { tasks } = commented('.vscode/tasks.json');
const { scripts } = JSON.parse(textOf('package.json'));
const labels = new Set(tasks.map(({ label }: { label: string }) => label));

describe('launch.json and tasks.json', () => {
  it.each<Configuration>(configurations)('$name can be started', (one) => {
    if (one.preLaunchTask) expect(labels).toContain(one.preLaunchTask);
    const [, bundle] = /\/dist\/(.*)\.cjs$/.exec(one.program ?? '') ?? [];
    if (bundle) expect(textOf('scripts/build.mjs')).toMatch(new RegExp(`^ +'?${bundle}'?: '`, 'm'));
  });

  it('start together what there is', () => {
    const names = configurations.map(({ name }: Configuration) => name);
    for (const { configurations: together } of compounds)
      expect(names).toEqual(expect.arrayContaining(together));
  });

  it('run scripts of package.json', () => {
    const run = tasks.filter(({ type }: { type: string }) => type === 'npm');
    expect(run.length).toBeGreaterThan(0);
    for (const { script } of run) expect(Object.keys(scripts)).toContain(script);
  });
});

it('the forge has a workflow that runs what CI runs, and templates', () => {
  expect(textOf('.github/workflows/ci.yml')).toMatch(/^ +- run: .*\.ci\/run$/m);
  expect(textOf('.ci/run')).toMatch(/^exec npm test$/m);
  const templates = projectFiles.filter((path) => path.startsWith('.github/ISSUE_TEMPLATE/'));
  expect(templates.length).toBeGreaterThan(1);
});

it('the container sets up what the README says', () => {
  const { postCreateCommand } = commented('.devcontainer/devcontainer.json');
  for (const [, script] of postCreateCommand.matchAll(/npm run (\S+)/g))
    expect(Object.keys(scripts)).toContain(script);
});

const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0;
it.skipIf(!hasSystemd)('the service is one that systemd understands in all', () => {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-service-'));
  try {
    const unit = join(folder, 'godwit-agent.service');
    const command = [process.execPath, '/usr/lib/godwit/agent.cjs', '/etc/godwit/agent.json'] as const;
    writeFileSync(unit, unitOf(textOf('resources/godwit-agent.service'), command));
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', unit], { encoding: 'utf8' });
    expect(stderr.split('\n').filter((line) => line.includes('godwit-agent.service'))).toEqual([]);
    expect(status).toBe(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
