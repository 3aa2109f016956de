/** What a release has: `npm run package`, twice, and what is in the bundle for nodes without VS Code. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { labFolder } from '../../agent/lab/description';
import { version } from '../../package.json';
import { Godwit } from '../support/godwit';
import { processesOf, run } from '../support/processes';
import { inProject } from '../support/project';

/** A name that no person's lab has. */
const LAB = `t${process.pid}-release`;
const NAME = `godwit-${version}`;
/** An agent and a keeper start on as little as one slow CPU. */
const LAB_MS = 180_000;
const SUMS = 'SHA256SUMS';

let folder: string;
/** The bundle, unpacked. */
let installed: string;

/** @param setting what a machine may have otherwise */
async function pack(name: string, setting: string): Promise<string> {
  const out = join(folder, name);
  mkdirSync(out);
  const { status, stderr } = await run(['bash', '-c', `${setting}; bash scripts/package.sh ${out}`], {
    cwd: inProject(),
  });
  expect(status, stderr).toBe(0);
  return out;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-release-'));
  const first = await pack('first', 'umask 077; export TZ=Asia/Tokyo');
  const bundle = readdirSync(first).find((file) => file.endsWith('.tar.gz'))!;
  expect((await run(['tar', '-xzf', join(first, bundle), '-C', folder])).status).toBe(0);
  installed = join(folder, NAME);
});
afterAll(async () => {
  await Godwit.labDown(LAB);
  rmSync(folder, { recursive: true, force: true });
});

it('is the same bytes whenever, and by whomever, it is made of the same sources', async () => {
  const sums = (out: string) => readFileSync(join(out, SUMS), 'utf8');
  const again = await pack('again', 'umask 022; export TZ=UTC; sleep 2');
  expect(sums(again)).toBe(sums(join(folder, 'first')));
  expect((await run(['sha256sum', '--check', '--strict', SUMS], { cwd: again })).status).toBe(0);
});

it('has a man page a verb, the service, and an example of its configuration', () => {
  const share = (...parts: string[]) => readdirSync(join(installed, 'share', ...parts)).sort();
  expect(share('man', 'man1')).toEqual(readdirSync(inProject('docs', 'man')).sort());
  expect(share('doc')).toEqual(['config.example.json', 'configuration.md', 'service.md']);
  expect(readdirSync(join(installed, 'lib'))).toContain('godwit-agent.service');
});

it('is a command that brings up a lab of the agents that are in it, and runs a job there', async () => {
  const command = join(installed, 'bin', 'godwit');
  await new Godwit({}, command).text(['lab', 'up', '--name', LAB, '--nodes', '1'], LAB_MS);
  const programs = processesOf(labFolder(LAB)).map((argv) => argv[1]);
  expect(programs).toEqual(
    expect.arrayContaining(['agent.cjs', 'keeper.cjs'].map((name) => join(installed, 'lib', name))),
  );
  const [node] = await Godwit.labNodes(LAB);
  const godwit = new Godwit({ agent: join(labFolder(LAB), node!, 'agent.sock') }, command);
  expect(await godwit.text(['run', '--', 'echo', 'hello'])).toBe('hello\n');
  const id = (await godwit.text(['run', '--detach', '--', 'sleep', '1000'])).trim();
  expect(await godwit.text(['stacks', id])).toMatch(/^1 thread in .*\n(?:.*\n)*.*nanosleep/);
  await godwit.kill(id);
});
