/** What a user tries who may launch jobs. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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

// --- rights of requests ---
