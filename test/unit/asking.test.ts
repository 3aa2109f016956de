/** What a line answers by itself: always what the stub would have answered, and without asking it. */
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { Asking } from '../../agent/debug/link/asking';
import { Known, WISHED_FOR_MS } from '../../agent/debug/link/known';
import { decodeSymbols, encodeSymbols, LOOKED_UP } from '../../agent/debug/rsp/symbols';
import { MAX_PIECES } from '../../agent/debug/rsp/together';
import { CODE, STACK, StubModel } from '../support/stub-model';

class Scene {
  readonly replies: string[] = [];
  /** Messages to the stub. */
  readonly sent: string[] = [];
  readonly failures: string[] = [];
  /** What the stub has not been given yet. */
  held: string[] | null = null;
  readonly asking = new Asking({
    send: (packet) => {
      this.sent.push(packet);
      if (this.held) this.held.push(packet);
      else queueMicrotask(() => this.asking.answered(this.stub.answer(packet)));
    },
    interrupt: () => this.sent.push('\x03'),
    reply: (payload) => this.replies.push(payload),
    fail: ({ message }) => this.failures.push(message),
  });

  constructor(readonly stub = new StubModel()) {}

  async ask(packet: string): Promise<string> {
    const before = this.replies.length;
    this.asking.take(packet);
    while (this.replies.length === before) await Promise.resolve();
    expect(this.replies).toHaveLength(before + 1);
    return this.replies.at(-1)!;
  }

  async askAll(...packets: string[]): Promise<string[]> {
    const replies = [];
    for (const packet of packets) replies.push(await this.ask(packet));
    return replies;
  }

  /** The stub is taken up elsewhere. */
  move(knows = true): void {
    this.asking.cut();
    this.stub.move();
    this.stub.knows = knows;
    this.asking.connected();
  }
}

const hex = (value: number) => value.toString(16);

describe('the answers', () => {
  const place = fc
    .tuple(fc.constantFrom(STACK, CODE), fc.integer({ min: 0, max: 0x408 }), fc.integer({ min: 1, max: 80 }))
    .map(([at, offset, size]) => `${hex(at + offset)},${hex(size)}`);
  const point = fc
    .tuple(
      fc.constantFrom('0', '1'),
      fc.constantFrom(CODE, CODE + 4, CODE + 0x100),
      fc.constantFrom('', ';X1,27'),
    )
    .map(([kind, at, condition]) => ({ key: `${kind},${hex(at)},1`, condition }));
  const packet = fc.oneof(
    { weight: 4, arbitrary: place.map((at) => `m${at}`) },
    { weight: 3, arbitrary: fc.constant('g') },
    { weight: 3, arbitrary: fc.constantFrom('p2.2', 'p2.3', 'p2.4', 'p2.9', 'p2.2').map((id) => `Hg${id}`) },
    fc.constantFrom('p2.3', 'p2.9').map((id) => `T${id}`),
    fc.constant('qXfer:threads:read::0,1000'),
    fc.constant('qXfer:threads:read::5,8'),
    fc.integer({ min: 0, max: 255 }).map(
      (value) =>
        `G${hex(256 + value)
          .slice(1)
          .repeat(16)}`,
    ),
    fc.tuple(fc.constantFrom(STACK, CODE), fc.nat(90)).map(([at, to]) => `M${hex(at + to)},2:abcd`),
    { weight: 3, arbitrary: point.map(({ key, condition }) => `Z${key}${condition}`) },
    { weight: 3, arbitrary: point.map(({ key }) => `z${key}`) },
    { weight: 2, arbitrary: fc.constantFrom('vCont;c', 'vCont;r8000,8010:p2.2;c:p2.-1') },
    fc.constantFrom('QPassSignals:e', 'QPassSignals:e', 'QPassSignals:', 'Hc-1', 'qC', 'vMustReplyEmpty'),
  );
  const move = fc.constantFrom({ move: true }, { move: true }, { move: false });
  const quiet = fc.constant({ quiet: true });

  it('are those of the stub itself, whatever is asked, written, let go and moved', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ weight: 20, arbitrary: packet }, move, quiet), { maxLength: 60, size: 'max' }),
        async (all) => {
          const scene = new Scene();
          const alone = new StubModel();
          expect(await scene.ask('?')).toBe(alone.answer('?'));
          for (const one of all) {
            if (typeof one === 'object' && 'quiet' in one) scene.asking.settle();
            else if (typeof one === 'object') {
              scene.move(one.move);
              alone.move();
            } else {
              const wanted = alone.answer(one);
              expect(await scene.ask(one)).toBe(wanted);
              if (one.startsWith('vCont')) expect(scene.stub.settings).toEqual(alone.settings);
            }
          }
          await scene.ask('vCont;c');
          expect(scene.stub.settings).toEqual(alone.settings);
          expect(scene.failures).toEqual([]);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('a step', () => {
  it('is one message with its breakpoints, and none for what gdb asks at the stop', async () => {
    const scene = new Scene();
    const at = [`Z0,${hex(CODE)},1`, `Z0,${hex(CODE + 8)},1`];
    const out = at.map((packet) => packet.replace('Z', 'z'));
    await scene.askAll('?', ...at, 'vCont;c', `m${hex(STACK + 0x100)},40`, ...out);
    const before = scene.sent.length;
    const looks = ['g', `m${hex(STACK + 0x100)},40`, `m${hex(STACK)},20`, 'qXfer:threads:read::0,1000'];
    await scene.askAll(...at, 'vCont;c', ...looks, ...out);
    expect(scene.sent.slice(before)).toHaveLength(1);
    scene.move();
    await scene.askAll(...at, 'vCont;c', ...looks, ...out);
    expect(scene.sent.slice(before)).toHaveLength(2);
  });

  it('tells a breakpoint that could not go along, and nothing has run', async () => {
    const scene = new Scene();
    const first = `Z0,${hex(CODE + 0x3f0)},1`;
    // On a page that is known, where nothing is any more.
    const gone = `Z0,${hex(CODE + 0x500)},1`;
    await scene.askAll('?', first);
    expect(await scene.ask(gone)).toBe('OK');
    const registers = await scene.ask('g');
    expect(await scene.ask('vCont;c')).toMatch(/^E\..*0x8500.*not let go/);
    expect(await scene.ask('g')).toBe(registers);
    // The client takes out what it believes to be in.
    expect(await scene.askAll(gone.replace('Z', 'z'), 'vCont;c')).toEqual(['OK', 'T05thread:p2.3;']);
    expect([...scene.stub.breakpoints.values()]).toEqual([first]);
  });
});

describe('a client that takes its time', () => {
  const breakpoint = `Z0,${hex(CODE)},1`;
  const out = breakpoint.replace('Z', 'z');

  it('has nothing of it left in the program: what it took out is out', async () => {
    const scene = new Scene();
    await scene.askAll('?', breakpoint, 'vCont;c', 'g', out);
    expect([...scene.stub.breakpoints.values()]).toEqual([breakpoint]);
    const { length } = scene.replies;
    scene.asking.settle();
    await vi.waitFor(() => expect(scene.stub.breakpoints.size).toBe(0));
    expect(scene.replies).toHaveLength(length);
    // Once, and the next step puts it in again.
    const before = scene.sent.length;
    scene.asking.settle();
    await scene.askAll('g', breakpoint, 'vCont;c');
    expect(scene.sent.slice(before)).toHaveLength(1);
    expect([...scene.stub.breakpoints.values()]).toEqual([breakpoint]);
  });

  it('and asks while they are being taken out, is answered behind it', async () => {
    const scene = new Scene();
    await scene.askAll('?', breakpoint, 'vCont;c', 'g', out);
    scene.held = [];
    scene.asking.settle();
    scene.asking.take('vCont;c');
    expect(scene.held).toHaveLength(1);
    const [settling] = scene.held;
    scene.held = null;
    scene.asking.answered(scene.stub.answer(settling!));
    await vi.waitFor(() => expect(scene.replies.at(-1)).toMatch(/^T05/));
    expect(scene.stub.breakpoints.size).toBe(0);
  });
});

describe('a stub that does not know requests that are sent together', () => {
  it('is asked one by one, and the next that does is not', async () => {
    const scene = new Scene(new StubModel(false));
    const breakpoint = `Z0,${hex(CODE)},1`;
    const step = [breakpoint, 'vCont;c', 'g', breakpoint.replace('Z', 'z')];
    await scene.askAll('?', ...step);
    let before = scene.sent.length;
    await scene.askAll(...step);
    expect(scene.sent.slice(before)).toEqual(step);
    scene.move(true);
    await scene.askAll(...step);
    before = scene.sent.length;
    await scene.askAll(...step);
    expect(scene.sent.slice(before)).toHaveLength(1);
    scene.move(false);
    // What waited for the step goes before it, each by itself.
    await scene.askAll(`Z0,${hex(CODE + 8)},1`, 'vCont;c');
    expect([...scene.stub.breakpoints.keys()]).toEqual([`0,${hex(CODE + 8)},1`]);
  });
});

describe('a breakpoint in a library', () => {
  const breakpoint = `Z0,${hex(CODE)},1`;
  const out = breakpoint.replace('Z', 'z');

  it('that is loaded anew is put in anew, where the client has not taken it out', async () => {
    const scene = new Scene();
    await scene.askAll('?', breakpoint, 'vCont;c');
    scene.stub.breakpoints.clear();
    await scene.askAll(breakpoint, 'vCont;c');
    expect([...scene.stub.breakpoints.values()]).toEqual([breakpoint]);
  });

  it('is taken out and put in while libraries are loaded, else left where it is', async () => {
    const scene = new Scene();
    await scene.askAll('?', breakpoint, 'vCont;c', out, breakpoint, 'vCont;c');
    expect(scene.sent.at(-1)).not.toContain(out);
    const before = scene.sent.length;
    await scene.askAll('qXfer:libraries-svr4:read::0,1000', out, breakpoint, 'vCont;c');
    const said = scene.sent.slice(before).join();
    expect(said).toMatch(new RegExp(`"${out}","${breakpoint}"`));
    await scene.askAll(out, breakpoint, 'vCont;c');
    expect(scene.sent.at(-1)).not.toContain(out);
  });

  it('that can not be taken out is put in anew', async () => {
    const scene = new Scene();
    await scene.askAll('?', breakpoint, 'vCont;c');
    scene.stub.breakpoints.clear();
    await scene.askAll(out, 'vCont;c', breakpoint, 'vCont;c');
    expect([...scene.stub.breakpoints.values()]).toEqual([breakpoint]);
  });
});

describe('a client that holds a child as well', () => {
  it("is answered by the stub alone, for its breakpoints may be the child's", async () => {
    const scene = new Scene();
    const breakpoint = `Z0,${hex(CODE)},1`;
    const out = breakpoint.replace('Z', 'z');
    await scene.askAll('?', breakpoint);
    scene.held = [];
    scene.asking.take('vCont;c');
    scene.held = null;
    scene.asking.answered('T05fork:p5.5;thread:p2.2;');
    const before = scene.sent.length;
    await scene.askAll(out, breakpoint, out, 'g', 'Hgp2.2');
    expect(scene.sent.slice(before)).toEqual([out, breakpoint, out, 'g']);
    // The child is let go.
    scene.held = [];
    scene.asking.take('D;5');
    scene.held = null;
    scene.asking.answered('OK');
    await scene.askAll(breakpoint, 'vCont;c');
    expect([...scene.stub.breakpoints.values()]).toEqual([breakpoint]);
    await scene.ask('g');
    expect(scene.sent.at(-1)).toContain('vCont;c');
  });
});

describe('what was told', () => {
  it('is no answer any more when it was under way during a move', async () => {
    const scene = new Scene();
    await scene.ask('?');
    scene.held = [];
    scene.asking.take('vCont;c');
    const [held] = scene.held;
    scene.held = null;
    const told = scene.stub.answer(held!);
    scene.move();
    scene.asking.answered(told);
    const before = scene.sent.length;
    await scene.ask('g');
    expect(scene.sent.length).toBe(before + 1);
  });

  it('may be a plain stop, from a stub that was taken up meanwhile', async () => {
    const scene = new Scene();
    const breakpoint = `Z0,${hex(CODE)},1`;
    await scene.askAll('?', breakpoint, breakpoint.replace('Z', 'z'));
    scene.held = [];
    scene.asking.take('vCont;c');
    scene.stub.answer(scene.held[0]!);
    scene.held = null;
    scene.asking.answered('T05thread:p2.4;');
    expect(scene.replies.at(-1)).toBe('T05thread:p2.4;');
    expect(await scene.ask('Hgp2.4')).toBe('OK');
  });

  it.each([
    ['no JSON', '{'],
    ['more answers than questions', '{"replies":["OK","OK","OK"],"ahead":null}'],
    ['no answer', '{"replies":[],"ahead":null}'],
    ['an answer that is no payload', '{"replies":["a\\u0023"],"ahead":null}'],
    ['what nobody wished for', '{"replies":["OK"],"ahead":null,"more":1}'],
    [
      'more memory than there may be',
      JSON.stringify({
        replies: ['OK'],
        ahead: {
          list: null,
          registers: [],
          lasting: Array.from({ length: MAX_PIECES + 1 }, () => ({ at: '0', bytes: '00' })),
          wished: [],
        },
      }),
    ],
  ])('ends the line when it has %s', async (_, payload) => {
    const scene = new Scene();
    await scene.ask('?');
    scene.held = [];
    scene.asking.take('vCont;c');
    expect(() => scene.asking.answered(payload)).toThrow(expect.objectContaining({ code: 'bad-message' }));
  });
});

describe('memory that was told because it may be asked for', () => {
  const told = { list: null, registers: [], lasting: [], wished: [{ at: '1000', bytes: '00112233' }] };

  it('is an answer for a while, the newest first', () => {
    let now = 0;
    const known = new Known(() => now);
    known.add(told);
    expect(known.answer('m1001,2', null)).toBe('1122');
    known.add({ ...told, wished: [{ at: '1000', bytes: 'ffffffff' }] });
    expect(known.answer('m1001,2', null)).toBe('ffff');
    now = WISHED_FOR_MS + 1;
    expect(known.answer('m1001,2', null)).toBeNull();
  });

  it('does not grow without end', () => {
    const known = new Known();
    for (let at = 0; at < 2000; at++) known.add({ ...told, wished: [{ at: hex(0x1000 * at), bytes: '00' }] });
    expect([known.answer('m1000,1', null), known.answer(`m${hex(0x1000 * 1999)},1`, null)]).toEqual([
      null,
      '00',
    ]);
  });
});

describe('a client that does not wait', () => {
  it('is answered in order, its interrupt where it stood', async () => {
    const scene = new Scene();
    await scene.ask('?');
    for (const packet of ['g', 'vCont;c', 'g']) scene.asking.take(packet);
    scene.asking.interrupt();
    await new Promise((resolve) => setImmediate(resolve));
    expect(scene.replies).toHaveLength(4);
    expect(scene.replies[2]).toBe('T05thread:p2.3;');
    expect(scene.replies[3]).not.toBe(scene.replies[1]);
  });

  it('is turned away when too much waits', async () => {
    const scene = new Scene();
    await scene.ask('?');
    scene.held = [];
    for (let n = 0; n < 100; n++) scene.asking.take('vCont;c');
    expect(scene.failures[0]).toContain('does not wait');
  });
});

describe('symbols', () => {
  const [version, ...others] = LOOKED_UP as [string, ...string[]];
  const unheardOf = Buffer.from('_thread_db_new').toString('hex');
  /** Each name's own; of some there is none. */
  const addressOf = (name: string) => (name.length % 3 === 0 ? '' : name.slice(-12));

  /** As gdb does it. */
  async function offer(scene: Scene, has: (name: string) => boolean = () => true): Promise<string> {
    let reply = await scene.ask('qSymbol::');
    while (reply.startsWith('qSymbol:')) {
      const name = reply.slice('qSymbol:'.length);
      reply = await scene.ask(`qSymbol:${has(name) ? addressOf(name) : ''}:${name}`);
    }
    return reply;
  }

  function sceneWith(stub: StubModel): Scene {
    stub.questions = [others[0]!, version, ...others.slice(5, 60).reverse()];
    return new Scene(stub);
  }
  const expected = ({ questions }: StubModel) =>
    Object.fromEntries(questions.map((name) => [name, addressOf(name)]));

  it('that the debug server will ask for go along with the offer, in one message', async () => {
    const scene = sceneWith(new StubModel());
    expect(await offer(scene)).toBe('OK');
    expect(Object.fromEntries(scene.stub.found)).toEqual(expected(scene.stub));
    expect(scene.sent).toHaveLength(1);
    // It asks once; an offer is passed on as ever.
    expect(await scene.ask('qSymbol::')).toBe('OK');
    expect(scene.sent.at(-1)).toBe('qSymbol::');
  });

  it('that are not known of are asked of the client', async () => {
    const scene = sceneWith(new StubModel());
    scene.stub.questions.splice(20, 0, unheardOf);
    expect(await offer(scene)).toBe('OK');
    expect(Object.fromEntries(scene.stub.found)).toEqual(expected(scene.stub));
    expect(scene.sent).toHaveLength(2);
  });

  it('are not looked up for a program without threads, each time that it offers some', async () => {
    const scene = sceneWith(new StubModel());
    scene.stub.questions = [version];
    expect(await offer(scene, () => false)).toBe('OK');
    expect(scene.sent).toEqual(['qSymbol::', `qSymbol::${version}`]);
    scene.stub.found.clear();
    scene.stub.questions.push(...others);
    expect(await offer(scene)).toBe('OK');
    expect(scene.sent).toHaveLength(3);
  });

  it.each([
    ['together', new StubModel(false)],
    ['ahead', new StubModel(true, false)],
  ])('are asked for by a stub that takes nothing %s', async (_, stub) => {
    const scene = sceneWith(stub);
    expect(await offer(scene)).toBe('OK');
    expect(Object.fromEntries(scene.stub.found)).toEqual(expected(scene.stub));
  });

  it('are others in another program', async () => {
    const scene = sceneWith(new StubModel());
    await offer(scene);
    scene.held = [];
    scene.asking.take('vCont;c');
    scene.held = null;
    scene.asking.answered('T05exec:2f62696e;thread:p2.2;');
    scene.stub.found.clear();
    const before = scene.sent.length;
    expect(await offer(scene)).toBe('OK');
    expect(Object.fromEntries(scene.stub.found)).toEqual(expected(scene.stub));
    expect(scene.sent.slice(before)).toHaveLength(1);
  });

  it('are told in a packet of one shape', () => {
    const told = new Map([
      ['61', '401136'],
      ['62', ''],
    ]);
    const packet = encodeSymbols(told);
    expect(decodeSymbols(packet)).toEqual(told);
    const wrong = [packet.slice(0, -1), `${packet}x`, packet.replace('61', '6'), packet.replace('=', ':')];
    for (const one of [...wrong, packet.replace('401136', '1'.repeat(17)), packet + '61=1;'.repeat(300)])
      expect(decodeSymbols(one), one).toBeNull();
  });
});
