/** What a user tries who may launch jobs. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copiesOf } from '../support/processes';
import { FILE_BYTES, Holder } from './holder';
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
  let holder: Holder;
  let door: Server;

  beforeAll(async () => {
    holder = await Holder.in(stage);
    // Root's, and to be found: nobody but root may read `secret`, enter `cellar`, or write in `vault`.
    writeFileSync(at('secret'), Buffer.alloc(FILE_BYTES, 's'), { mode: 0o600 });
    mkdirSync(at('cellar'), { mode: 0o700 });
    mkdirSync(at('vault'), { mode: 0o755 });
    door = createServer().listen(at('vault', 'door'));
    await once(door, 'listening');
  });
  afterAll(() => door?.close());

  /** Ann exchanges `name` while her job comes home: for a link to `target`, or for what is at `target` itself. */
  async function exchanged(name: string, target: string, how: 'link' | 'itself'): Promise<string | null> {
    const [there, kept] = [holder.own(name), holder.own(`${name}.kept`)];
    const put = how === 'link' ? ['ln', '-s', target, there] : ['mv', '-T', target, there];
    const back = how === 'link' ? ['rm', there] : ['mv', '-T', there, target];
    const ann = async ([program, ...args]: string[]) =>
      expect(await stage.as('ann', program!, ...args)).toMatchObject({ status: 0 });
    const outcome = await holder.comesHome(async () => {
      await ann(['mv', '-T', there, kept]);
      await ann(put);
    });
    await ann(back);
    await ann(['mv', '-T', kept, there]);
    return outcome;
  }

  /** It was refused in these words, and goes on where it was. */
  async function refused(outcome: string | null, words: RegExp): Promise<void> {
    expect(outcome ?? 'it has moved').toMatch(words);
    await holder.goesOn();
  }

  it("a descriptor of one's own file never becomes one of root's", async () => {
    await refused(await exchanged('file', at('secret'), 'link'), /user may not open \/.*held\/file/);
  });

  it('nor a mapping', async () => {
    await refused(await exchanged('mapped', at('secret'), 'link'), /user may not open \/.*held\/mapped/);
  });

  it("nor is a folder of root's entered", async () => {
    await refused(await exchanged('place', at('cellar'), 'link'), /user may not open \/.*held\/place/);
  });

  it("another file of one's own is noticed", async () => {
    const outcome = await exchanged('file', holder.own('twin'), 'itself');
    await refused(
      outcome,
      /descriptor 3 of process 2 is not the file that it was: .*held\/file was exchanged/,
    );
  });

  it('so is another that is mapped', async () => {
    const outcome = await exchanged('mapped', holder.own('twin'), 'itself');
    await refused(outcome, /mapping at 0x[0-9a-f]+ of process 2 is not .*held\/mapped was exchanged/);
  });

  it('and another working directory', async () => {
    const outcome = await exchanged('place', holder.own('other'), 'itself');
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
    expect(await holder.comesHome(() => {})).toBe(null);
    const [pid] = copiesOf(at('holder'));
    const peer = execFileSync('python3', ['-c', PEER, holder.own('sockets', 'door')], { encoding: 'utf8' });
    expect(peer.trim()).toBe(`${stage.people.ann.uid}`);
    for (const fd of ['3', '4', '5', '6'])
      expect(statSync(`/proc/${pid}/fd/${fd}`).uid).toBe(stage.people.ann.uid);
  });
});

// --- lists and bounds ---

// --- rights of requests ---
