import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Level, logTo, messageOf } from '../../agent/log';

let folder = '';
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-log-'));
  await build({
    entryPoints: ['agent/log.ts'],
    outfile: join(folder, 'log.cjs'),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    logLevel: 'error',
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a line of the log', () => {
  const lines: string[] = [];
  let level: Level = 'info';
  const log = logTo(
    (line) => lines.push(line),
    () => level,
  );
  const last = () => JSON.parse(lines.at(-1)!) as Record<string, unknown>;

  it('says when, how bad, what and about what', () => {
    log.with({ node: 'node1' }).with({ job: 'abc' }).warn('lost', { epoch: 3, peer: undefined });
    expect(last()).toEqual({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      ...{ level: 'warn', node: 'node1', job: 'abc', epoch: 3, msg: 'lost' },
    });
    expect(messageOf(lines.at(-1)!)).toBe('lost');
    expect(messageOf('told to fail')).toBe('told to fail');
  });

  it('is one line, whatever a name has in it, and never a long one', () => {
    log('a name', { user: 'x\n{"level":"error","msg":"made up"}\u001b[2J' });
    for (const character of ['\n', '\u001b']) expect(lines.at(-1)).not.toContain(character);
    expect(last()).toMatchObject({ level: 'info', msg: 'a name' });
    log(`${'x'.repeat(1_000_000)}`, { user: 'y'.repeat(1_000_000) });
    expect(lines.at(-1)!.length).toBeLessThan(10_000);
  });

  it('is said from the level on that was asked for', () => {
    const before = lines.length;
    log.debug('no');
    level = 'error';
    log('no');
    log.warn('no');
    log.error('yes');
    expect(lines.length).toBe(before + 1);
    level = 'debug';
    log.debug('yes');
    expect(last()).toMatchObject({ level: 'debug', msg: 'yes' });
  });
});

describe('a daemon’s log', () => {
  const BYTES = 65_536;
  const script = (count: number) => `
    const { DaemonLog } = require(${JSON.stringify(join(folder, 'log.cjs'))});
    const { log } = new DaemonLog('agent.log', ${BYTES});
    for (let n = 0; n < ${count}; n++) log('line ' + n, { job: 'x'.repeat(100) });`;
  const run = (file: string, count: number) =>
    spawnSync(process.execPath, ['-e', script(count)], {
      stdio: ['ignore', openSync(file, 'a', 0o600), 'inherit'],
    });
  const numbers = (file: string) =>
    readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => Number(/^line (\d+)$/.exec(messageOf(line))?.[1]));

  it('does not grow beyond its bound and one before it, with what others have written there', () => {
    const file = join(folder, 'agent.log');
    appendFileSync(file, 'a crash\n'.repeat(BYTES), { mode: 0o600 });
    expect(run(file, 5_000).status).toBe(0);
    for (const part of [file, `${file}.1`]) {
      expect(statSync(part).size).toBeLessThan(BYTES + 1_000);
      expect(statSync(part).mode & 0o777).toBe(0o600);
    }
    const kept = [...numbers(`${file}.1`), ...numbers(file)];
    expect(kept.at(-1)).toBe(4_999);
    expect(kept).toEqual(kept.map((_, index) => kept[0]! + index));
  });

  it('leaves a file alone that is another user’s', () => {
    const file = join(folder, 'theirs.log');
    expect(run(file, 2_000).status).toBe(0);
    expect(numbers(file)).toHaveLength(2_000);
    expect(existsSync(`${file}.1`)).toBe(false);
  });

  it('goes on when its reader has gone', () => {
    const piped = spawnSync('bash', [
      '-c',
      `"$0" -e "$1" | true; exit \${PIPESTATUS[0]}`,
      process.execPath,
      script(3_000),
    ]);
    expect(piped.status).toBe(0);
  });
});
