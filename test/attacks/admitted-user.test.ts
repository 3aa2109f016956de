/** What a user tries who may launch jobs. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Godwit } from '../support/godwit';
import { Stage } from './stage';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.up('admitted');
});
afterAll(() => stage?.down());

describe('a user', () => {
  it('does as they like with their own job, and nothing with that of another', async () => {
    const { id } = await stage.ann.run(['sleep', '1000'], { on: 'node2' });
    const refused = /is games's/;
    await expect(stage.bob.kill(id)).rejects.toThrow(refused);
    await expect(stage.bob.migrate(id, 'node3')).rejects.toThrow(refused);
    await expect(stage.bob.logs(id)).rejects.toThrow(refused);
    expect((await stage.ann.migrate(id, 'node3')).to).toBe('node3');
    await stage.ann.kill(id);
    expect(await stage.ann.wait(id)).toMatchObject({ signal: 'SIGKILL' });
  });
});

// --- descriptors of a job ---

// --- status and limits ---

// --- home files through a mount ---

// --- restored files ---

// --- lists and bounds ---

describe('what a job of another uses', () => {
  /** It has a file open, and one more that keeps it where it is. */
  const busy = async () => {
    const own = join(stage.folder, 'ann');
    const script =
      'echo > diary; echo > plans; exec 3<diary 4<plans; ln plans plot; rm plans; exec sleep 1000';
    const { id } = await stage.ann.run(['sh', '-c', script], { on: 'node2', cwd: own });
    await stage.until('it has both', async () => (await stage.ann.why(id, 'node3')).files.length > 1);
    return id;
  };

  it('is not told by `why`, on whichever node one asks', async () => {
    const id = await busy();
    const told = await stage.ann.why(id, 'node3');
    expect(told.files.map(({ path }) => path)).toContain(join(stage.folder, 'ann', 'diary'));
    expect(told.obstacles).toEqual([
      expect.objectContaining({ code: 'deleted-file', what: expect.stringContaining('plans') }),
    ]);
    for (const node of ['node1', 'node3']) {
      const seen = await stage.asks('bob', node).why(id, 'node3');
      expect(seen).toMatchObject({ can: false, files: [], moreFiles: 0 });
      expect(seen.obstacles.map(({ code }) => code)).toEqual(['deleted-file']);
      expect(JSON.stringify(seen.obstacles)).not.toMatch(/diary|plans|plot|attacks-|sleep|process/);
    }
    await stage.ann.kill(id);
  });

  it('is not told by the history of how it was lost', async () => {
    const id = await busy();
    const served = join(stage.paths('node1').state, 'served');
    const [name] = readdirSync(served).filter((file) => file.startsWith(id) && file.endsWith('.json'));
    process.kill(JSON.parse(readFileSync(join(served, name!), 'utf8')).pid, 'SIGKILL');
    const lostIn = async (who: Godwit) => (await who.history(id)).find(({ event }) => event === 'lost');
    await stage.until('it is lost', async () => (await lostIn(stage.ann)) !== undefined);
    expect((await lostIn(stage.ann))?.reason).toMatch(/the files of its home node1 are lost/);
    for (const node of ['node1', 'node3']) {
      const bob = stage.asks('bob', node);
      expect(await lostIn(bob)).toEqual(expect.not.objectContaining({ reason: expect.anything() }));
      expect(await bob.text(['history'])).not.toContain('the files of its home');
    }
  });
});
