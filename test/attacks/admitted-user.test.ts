/** What a user tries who may launch jobs. */
import { chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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

/** What Bob's job tries against $1, a file of Ann's, beside a job of hers; $2 is the state of the node it runs on. */
const TRIES = `for way in "" "$2"/roots/* /proc/[0-9]*/root /proc/[0-9]*/cwd; do cat "$way$1" && echo DID read "$way"; done
for folder in roots mounted served images reports networks jobs; do ls "$2/$folder" 2>/dev/null; done
for pid in /proc/[0-9]*; do nsenter -m -t "\${pid#/proc/}" cat "$1" && echo DID enter "$pid"; done
exit 0`;

describe("the home's files of a job", () => {
  it("are not reached from another user's job on the same node, nor beside it", async () => {
    const secret = join(stage.folder, 'ann', 'secret');
    writeFileSync(secret, 'hers\n', { mode: 0o600 });
    chownSync(secret, stage.people.ann.uid, stage.people.ann.gid);
    const hers = ['sh', '-c', `while cat ${secret}; do sleep 0.1; done`];
    const ann = await stage.asks('ann', 'node2').run(hers, { on: 'node1', cwd: stage.folder });
    await stage.until('her job reads', async () => (await stage.asks('ann', 'node2').logs(ann.id)) !== '');
    const tries = ['sh', '-c', TRIES, 'sh', secret, stage.paths('node1').state] as const;
    for (const home of ['node1', 'node2']) {
      const bob = stage.asks('bob', home);
      const { id } = await bob.run(tries, { on: 'node1', cwd: stage.folder });
      await bob.wait(id);
      expect(await bob.logs(id)).not.toMatch(/hers|DID|^\w{8}/m);
    }
    expect((await stage.as('bob', ...tries)).stdout).toBe('');
    await stage.asks('ann', 'node2').kill(ann.id);
  });
});

// --- restored files ---

// --- lists and bounds ---

// --- rights of requests ---
