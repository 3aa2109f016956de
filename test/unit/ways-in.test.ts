/** Launch configurations and tasks, of the examples and of the project: what they name is there. */
import { describe, expect, it } from 'vitest';
import packageJson from '../../package.json';
import { projectFiles, textOf } from '../support/sources';

interface Configuration extends Record<string, unknown> {
  name: string;
  type: string;
  request: string;
}

/** VS Code's own, of every configuration. */
const OF_ALL = ['type', 'request', 'name', 'preLaunchTask'];

/** With comments in lines of their own, as VS Code reads it. */
const parsed = (path: string) => JSON.parse(textOf(path).replace(/^\s*\/\/.*$/gm, ''));
const configurations = (folder: string): Configuration[] =>
  parsed(`${folder}.vscode/launch.json`).configurations;
const tasks = (folder: string): string[] =>
  parsed(`${folder}.vscode/tasks.json`).tasks.map(({ label }: { label: string }) => label);

const [debuggerOfOurs] = packageJson.contributes.debuggers;
const attributes: Record<string, { properties: object }> = debuggerOfOurs!.configurationAttributes;
const makefile = textOf('examples/Makefile');

describe.each(configurations('examples/'))('the example "$name"', (configuration) => {
  const { type, request, program } = configuration;

  it('has attributes that the extension knows', () => {
    expect(type).toBe('godwit');
    const known = [...OF_ALL, ...Object.keys(attributes[request]!.properties)];
    expect(Object.keys(configuration).filter((key) => !known.includes(key))).toEqual([]);
  });

  it.skipIf(!program)('debugs a program that `make` makes of a source that is there', () => {
    const name = String(program).replace(`\${workspaceFolder}/`, '');
    expect(projectFiles).toContain(`examples/${name}.c`);
    expect(makefile).toMatch(new RegExp(`^all:.* ${name}\\b`, 'm'));
  });
});

describe.each(['', 'examples/'])('%s.vscode', (folder) => {
  it('runs tasks that there are', () => {
    const wanted = configurations(folder).flatMap(({ preLaunchTask }) => preLaunchTask ?? []);
    expect(wanted.filter((task) => !tasks(folder).includes(task as string))).toEqual([]);
  });

  it('runs programs that the build makes', () => {
    const build = textOf('scripts/build.mjs');
    const named = textOf(`${folder}.vscode/launch.json`).matchAll(/\/dist\/([\w/-]+)\.cjs/g);
    const missing = [...named]
      .map(([, name]) => name!)
      .filter((name) => !new RegExp(`^ +'?${name}'?: '`, 'm').test(build));
    expect(missing).toEqual([]);
  });
});
