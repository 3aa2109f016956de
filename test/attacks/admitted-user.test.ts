/** What a user tries who may launch jobs. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../support/c-programs';
import { copiesOf } from '../support/processes';
import { inProject } from '../support/project';
import { Stage } from './stage';

/** Whose the other end of a Unix socket is, as its client sees it (SO_PEERCRED, unix(7)). */
const PEER = `
import socket, struct, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
print(struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1])
`;

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

/** Whoever can write in a folder decides what stands at its paths, also while CRIU opens them again. */
describe('paths that are exchanged while a job comes home', () => {
  const at = (...names: string[]) => join(stage.folder, ...names);
  const own = (...names: string[]) => at('ann', 'held', ...names);
  let job: string;
  let door: Server;

  beforeAll(async () => {
    const program = await compile(inProject('test', 'attacks', 'programs', 'holder.c'), stage.folder);
    const script = `mkdir -m 700 held held/sockets held/ghosts held/place held/other
      for name in file mapped twin; do head -c 4096 /dev/zero >held/$name; done; chmod 600 held/file held/mapped held/twin`;
    await stage.as('ann', 'sh', '-ec', `cd ann; ${script}`);
    // Root's, and to be found: nobody but root may read `secret`, enter `cellar`, or write in `vault`.
    writeFileSync(at('secret'), Buffer.alloc(4096, 's'), { mode: 0o600 });
    mkdirSync(at('cellar'), { mode: 0o700 });
    mkdirSync(at('vault'), { mode: 0o755 });
    door = createServer().listen(at('vault', 'door'));
    await once(door, 'listening');
    ({ id: job } = await stage.ann.run([program, own()], { on: 'node2' }));
    await stage.until('it holds all', async () => (await stage.ann.logs(job)).startsWith('ready'));
  });
  afterAll(() => door?.close());
  afterEach(() => stage.letGo('node1'));

  /** Moves the job home; meanwhile `name` is what Ann puts there: a link to `target`, or her own `target` itself. */
  async function exchanged(name: string, target: string, how: 'link' | 'itself'): Promise<Error | null> {
    stage.arm('node1', 'destination.pages-here');
    const moved = stage.ann.migrate(job, 'node1').then(
      () => null,
      (error: Error) => error,
    );
    await stage.stands('node1', 'destination.pages-here');
    const put = how === 'link' ? ['ln', '-s'] : ['mv', '-T'];
    await stage.as('ann', 'mv', '-T', own(name), own(`${name}.kept`));
    expect((await stage.as('ann', put[0]!, put[1]!, target, own(name))).status).toBe(0);
    stage.letGo('node1');
    const outcome = await moved;
    if (how === 'itself') await stage.as('ann', 'mv', '-T', own(name), target);
    else await stage.as('ann', 'rm', own(name));
    await stage.as('ann', 'mv', '-T', own(`${name}.kept`), own(name));
    return outcome;
  }

  /** It was refused in these words, and goes on where it was. */
  async function refused(outcome: Error | null, words: RegExp): Promise<void> {
    expect(outcome?.message).toMatch(words);
    const before = (await stage.ann.logs(job)).length;
    await stage.until('it goes on', async () => (await stage.ann.logs(job)).length > before);
    expect(await stage.ann.job(job)).toMatchObject({ node: 'node2', state: 'running' });
  }

  it("a descriptor of one's own file never becomes one of root's", async () => {
    await refused(await exchanged('file', at('secret'), 'link'), /user may not open \/.*held\/file/);
  });

  it('nor a mapping', async () => {
    await refused(await exchanged('mapped', at('secret'), 'link'), /user may not open \/.*held\/mapped/);
  });

  it("nor is a folder of root's entered", async () => {
    await refused(
      await exchanged('place', at('cellar'), 'link'),
      /is not the file that it was: .*held\/place/,
    );
  });

  it("another file of one's own is noticed", async () => {
    const outcome = await exchanged('file', own('twin'), 'itself');
    await refused(
      outcome,
      /descriptor 3 of process 2 is not the file that it was: .*held\/file was exchanged/,
    );
  });

  it('so is another that is mapped', async () => {
    const outcome = await exchanged('mapped', own('twin'), 'itself');
    await refused(outcome, /mapping at 0x[0-9a-f]+ of process 2 is not .*held\/mapped was exchanged/);
  });

  it('and another working directory', async () => {
    const outcome = await exchanged('place', own('other'), 'itself');
    await refused(outcome, /the working directory of process 2 is not .*held\/place was exchanged/);
  });

  it("nothing is removed or made in a folder of root's for a socket that is bound again", async () => {
    const before = lstatSync(at('vault', 'door'));
    await refused(
      await exchanged('sockets', at('vault'), 'link'),
      /can't make its socket sockets\/door again/,
    );
    expect(lstatSync(at('vault', 'door'))).toMatchObject({ ino: before.ino, mode: before.mode, uid: 0 });
    expect(readdirSync(at('vault'))).toEqual(['door']);
  });

  it('nor for a file that was deleted', async () => {
    const before = lstatSync(at('vault'));
    await refused(
      await exchanged('ghosts', at('vault'), 'link'),
      /deleted file open, in a folder in which its user can't/,
    );
    expect(lstatSync(at('vault')).mtimeMs).toBe(before.mtimeMs);
  });

  it('and with nothing exchanged it comes home, its sockets its own', async () => {
    await stage.ann.migrate(job, 'node1');
    const [pid] = copiesOf(at('holder'));
    const peer = execFileSync('python3', ['-c', PEER, own('sockets', 'door')], { encoding: 'utf8' });
    expect(peer.trim()).toBe(`${stage.people.ann.uid}`);
    for (const fd of ['3', '4', '5', '6'])
      expect(statSync(`/proc/${pid}/fd/${fd}`).uid).toBe(stage.people.ann.uid);
  });
});

// --- lists and bounds ---

// --- rights of requests ---
