/** Two versions of Godwit that meet: what both speak is found, and what they can't do together is refused by name. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { GodwitError } from '../../agent/api/errors';
import { LoadRecord, Statement } from '../../agent/api/membership';
import { UNDERSTOOD, UNDERSTOOD_FIRST, type Understood, type Versions } from '../../agent/api/versions';
import { readManifest, writeManifest } from '../../agent/daemon/migration/manifest';
import { versionObstacles } from '../../agent/daemon/preflight/versions';
import { why } from '../../agent/daemon/preflight/why';

afterEach(() => {
  vi.doUnmock('../../agent/api/versions');
  vi.resetModules();
});

/** The hello of a build that speaks these. */
async function buildOf(protocol: Versions) {
  vi.resetModules();
  vi.doMock('../../agent/api/versions', async (original) => ({
    ...(await original<object>()),
    PROTOCOL: protocol,
  }));
  return import('../../agent/wire/hello');
}
const SELF = { kind: 'agent', name: 'node1' } as const;
const span = (oldest: number, newest: number): Versions => ({ oldest, newest });

describe('a hello', () => {
  it.each([
    [span(1, 1), span(1, 1), 1],
    [span(1, 1), span(1, 2), 1],
    [span(1, 2), span(1, 2), 2],
    [span(1, 2), span(2, 3), 2],
    [span(1, 1), span(2, 3), null],
    [span(1, 2), span(3, 4), null],
  ])('of %o and one of %o come to the same number, by themselves', async (one, other, number) => {
    const [left, right] = [await buildOf(one), await buildOf(other)];
    const said = [left.writeHello(SELF), right.writeHello(SELF)] as const;
    for (const [build, theirs] of [
      [left, said[1]],
      [right, said[0]],
    ] as const)
      if (number === null)
        expect(() => build.readHello(theirs, 'node1')).toThrow(
          expect.objectContaining({
            code: 'wrong-version',
            fix: expect.stringContaining('upgrade the older'),
          }),
        );
      else expect(build.readHello(theirs, 'node1').protocol).toBe(number);
  });

  it('of a version that knew of no other is one of its own number, and takes ours for one', async () => {
    const { readHello, writeHello } = await buildOf(span(1, 2));
    const first = JSON.stringify({ hello: { protocol: 1, version: '0', ...SELF } });
    expect(readHello(first, 'node1').protocol).toBe(1);
    expect(JSON.parse(writeHello(SELF)).hello.protocol).toBe(1);
  });

  it('of a later version may say more', async () => {
    const { readHello } = await buildOf(span(1, 1));
    const more = { protocol: 1, newest: 9, version: '9', ...SELF, colour: 'red' };
    expect(readHello(JSON.stringify({ hello: more }), 'node1').protocol).toBe(1);
  });

  it.each([{ protocol: 3, newest: 2 }, { protocol: 0 }, { protocol: 1, newest: 'all' }, { newest: 1 }])(
    'of numbers that are none is refused: %o',
    async (numbers) => {
      const { readHello } = await buildOf(span(1, 2));
      const said = JSON.stringify({ hello: { ...numbers, version: '0', ...SELF } });
      expect(() => readHello(said, 'node1')).toThrow(expect.objectContaining({ code: 'bad-message' }));
    },
  );
});

describe('what members tell each other', () => {
  const record = ['node2', 10, 2, 1, 0.5, 1024, 512, 3] as const;
  const statement = ['node2', 'alive', 4, 'node2'] as const;

  it('may be longer in a later version, of which what is known is read', () => {
    expect(LoadRecord.parse([...record, 1, 1, 0, 7, { more: true }])).toEqual([...record, 1, 1, 0, 7]);
    expect(Statement.parse([...statement, 'more'])).toEqual([...statement]);
  });

  it('may not be wrong, or shorter', () => {
    expect(LoadRecord.safeParse([...record.slice(0, 2), 'many', ...record.slice(3), 7]).success).toBe(false);
    expect(LoadRecord.safeParse(record.slice(0, 7)).success).toBe(false);
    expect(Statement.safeParse('alive').success).toBe(false);
  });
});

describe('a move between versions', () => {
  const node1 = { node: 'node1', ...UNDERSTOOD };
  const node2 = (more: Partial<Understood>) => ({ node: 'node2', ...UNDERSTOOD, ...more });

  it('is none to a neighbour', () => {
    expect(versionObstacles(node1, node2({ protocol: span(1, 2), checkpoint: span(1, 2) }))).toEqual([]);
  });

  it('is stopped where the two can not speak with each other', () => {
    const [obstacle] = versionObstacles(node1, node2({ protocol: span(2, 3) }));
    expect(obstacle).toMatchObject({
      code: 'wrong-version',
      what: 'node1 speaks protocol 1, and node2 2 to 3',
    });
  });

  it('is stopped where the destination does not read what the source writes, and not the other way', () => {
    const newer = node2({ checkpoint: span(1, 2) });
    expect(versionObstacles(newer, node1)).toMatchObject([
      {
        code: 'wrong-version',
        what: expect.stringMatching(/checkpoints are of version 2, and node1 reads 1/),
        fix: 'upgrade node1',
      },
    ]);
    expect(versionObstacles(node1, newer)).toEqual([]);
  });

  const asked = (source: object, destination: () => object) =>
    why(
      {
        node: 'node1',
        estimate: () => 0,
        outside: async () => null,
        peers: {
          call: async (_node: string, method: string) => {
            if (method === 'node.preflight') return { obstacles: [], direct: [], ...destination() };
            const nothing = { obstacles: [], bytes: 0, machine: null, ports: [], pings: false };
            return { ...nothing, files: [], mounts: [], shared: [], ...source };
          },
        } as never,
      },
      {
        id: 'abcdefghi0',
        pinned: false,
        ledger: { host: 'node1' },
        spec: { user: { name: 'root' }, limits: {}, address: null },
      } as never,
      'node2',
      true,
    );

  it('is told by `why`, before anything is asked of the job', async () => {
    const later = { ...UNDERSTOOD, checkpoint: span(2, 2) };
    const { can, obstacles } = await asked({ understood: later }, () => ({ understood: UNDERSTOOD_FIRST }));
    expect([can, obstacles.map(({ code }) => code)]).toEqual([false, ['wrong-version']]);
    expect((await asked({ understood: UNDERSTOOD }, () => ({ understood: UNDERSTOOD }))).can).toBe(true);
  });

  it('is told by `why` where the home can not speak with the destination', async () => {
    const { obstacles } = await asked({ understood: UNDERSTOOD }, () => {
      throw new GodwitError({ code: 'wrong-version', message: 'it speaks 9', fix: 'upgrade' });
    });
    expect(obstacles).toMatchObject([
      { code: 'wrong-version', what: expect.stringContaining('it speaks 9'), fix: 'upgrade' },
    ]);
  });

  it('is refused at the destination where the home did not know of it', async () => {
    const images = mkdtempSync(join(tmpdir(), 'godwit-versions-'));
    try {
      const manifest = { processes: [2], parked: [], launchedStopped: false, mounts: [], shared: [] };
      await writeManifest(images, manifest);
      expect(await readManifest(images)).toEqual(manifest);
      const write = (said: object) => writeFileSync(join(images, 'godwit.json'), JSON.stringify(said));
      write({ checkpoint: 2, novelty: true });
      await expect(readManifest(images)).rejects.toMatchObject({ code: 'wrong-version' });
      write(manifest);
      expect(await readManifest(images)).toEqual(manifest);
    } finally {
      rmSync(images, { recursive: true });
    }
  });
});
