/** The parts of the gossip of members, each by itself. */
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { LoadRecord, STANDINGS, type Statement } from '../../agent/api/membership';
import { DATAGRAM_BYTES, Opener, Seal } from '../../agent/daemon/membership/datagram';
import { Freshness } from '../../agent/daemon/membership/freshness';
import { Health, OwnTime } from '../../agent/daemon/membership/health';
import type { Message } from '../../agent/daemon/membership/message';
import { MemberNames } from '../../agent/daemon/membership/names';
import { News } from '../../agent/daemon/membership/news';
import { Picture } from '../../agent/daemon/membership/picture';
import { Round } from '../../agent/daemon/membership/round';
import { isLater } from '../../agent/daemon/membership/statement';
import { Suspicion } from '../../agent/daemon/membership/suspicion';
import { LoadWindow } from '../../agent/daemon/membership/window';
import { chance, namesOf } from '../support/membership-world';

const everything = () => true;

describe('statements', () => {
  const all = [0, 1, 2].flatMap((incarnation) => STANDINGS.map((standing) => ({ standing, incarnation })));

  it('have an order: of two different ones exactly one is later, and later ones of later ones are', () => {
    for (const one of all)
      for (const other of all) {
        expect(isLater(one, other)).toBe(one !== other && !isLater(other, one));
        for (const third of all)
          if (isLater(one, other) && isLater(other, third)) expect(isLater(one, third)).toBe(true);
      }
  });

  it('in any order, and twice, come to the same, but for the time that a suspect has', () => {
    const random = chance(3);
    const said = Array.from({ length: 40 }, (): Statement => {
      const standing = random() < 0.5 ? 'alive' : 'suspect';
      return ['node2', standing, Math.floor(random() * 5), 'node3'];
    });
    const comesTo = (statements: Statement[]) => {
      const picture = new Picture('node1', new News(), new Health(), () => {});
      picture.review(new MemberNames(namesOf(3)));
      for (const statement of statements) picture.take(statement, 0);
      return picture.of('node2');
    };
    const first = comesTo(said);
    for (let round = 0; round < 50; round++)
      expect(comesTo([...said, ...said].sort(() => random() - 0.5))).toEqual(first);
  });
});

describe('a picture', () => {
  const make = () => {
    const news = new News();
    const picture = new Picture('node1', news, new Health(), () => {});
    picture.review(new MemberNames(namesOf(6)));
    return { picture, told: () => news.take(100, everything) };
  };

  it('of itself is its own: what is said against it is void with the next incarnation', () => {
    const { picture, told } = make();
    picture.take(['node1', 'suspect', 0, 'node2'], 0);
    expect(told()).toEqual([['node1', 'alive', 1, 'node1']]);
    picture.take(['node1', 'dead', 0, 'node2'], 0);
    expect(picture.incarnation).toBe(1);
    // It began anew, and others remember more of it.
    picture.take(['node1', 'alive', 7, 'node1'], 0);
    expect(picture.incarnation).toBe(8);
  });

  it('takes a leap from nobody but the member itself', () => {
    const { picture } = make();
    picture.take(['node2', 'dead', 1_000_000, 'node3'], 0);
    expect(picture.of('node2')).toEqual({ standing: 'alive', incarnation: 0 });
    picture.takeOwn('node2', 1_000_000, 0);
    picture.take(['node2', 'suspect', 1_000_000, 'node3'], 0);
    expect(picture.of('node2').standing).toBe('suspect');
    // Back, having forgotten all, and heard no more by those who remember.
    picture.shown('node2', 0, 0);
    expect(picture.of('node2')).toEqual({ standing: 'alive', incarnation: 0 });
  });

  it('has nobody dead by hearsay before it had its time', () => {
    const { picture } = make();
    picture.take(['node2', 'dead', 0, 'node3'], 0);
    picture.tick(4_999);
    expect(picture.of('node2').standing).toBe('suspect');
    picture.tick(5_001);
    expect(picture.of('node2').standing).toBe('dead');
  });
});

describe('a suspicion', () => {
  const terms = { leastMs: 5_000, mostMs: 30_000, wanted: 3 };

  it('is the shorter the more have the same, each once, down to the least', () => {
    const suspicion = new Suspicion('node1', 100, terms);
    const ends = [suspicion.until];
    expect(suspicion.confirm('node1')).toBe(false);
    for (const name of ['node2', 'node3', 'node4']) {
      expect(suspicion.confirm(name)).toBe(true);
      ends.push(suspicion.until);
    }
    expect(suspicion.confirm('node5')).toBe(false);
    expect(ends[0]).toBe(30_100);
    expect(ends[3]).toBe(5_100);
    expect([...ends].sort((a, b) => b - a)).toEqual(ends);
    expect(new Set(ends).size).toBe(4);
  });

  it('has its least time when somebody says dead', () => {
    const suspicion = new Suspicion('node1', 0, terms);
    suspicion.hasten();
    expect(suspicion.until).toBe(5_000);
  });
});

describe('news', () => {
  it('are of each member the latest, told so often, those first that were told least', () => {
    const news = new News();
    const of = (node: string, incarnation: number): Statement => [node, 'alive', incarnation, node];
    news.add(of('a', 1));
    news.add(of('b', 1));
    let room = 1;
    const one = () => room-- > 0;
    expect(news.take(2, one)).toEqual([of('a', 1)]);
    news.add(of('a', 2));
    expect(news.take(2, everything)).toEqual([of('b', 1), of('a', 2)].sort());
    news.take(2, everything);
    expect(news.size).toBe(0);
    expect(news.take(2, everything)).toEqual([]);
  });
});

describe('a round', () => {
  const names = namesOf(20);

  it('has each once, and each in another order; a new one comes within it', () => {
    const round = new Round(chance(1));
    round.review(new MemberNames(names));
    const next = (count: number) => Array.from({ length: count }, () => round.next(everything)!);
    const [one, other] = [next(20), next(20)];
    expect([...one].sort()).toEqual([...names].sort());
    expect([...other].sort()).toEqual([...names].sort());
    expect(one).not.toEqual(other);
    const begun = next(10);
    round.review(new MemberNames([...names.filter((name) => name !== 'node5'), 'node21']));
    const rest = next(11 - (begun.includes('node5') ? 0 : 1));
    expect(rest).toContain('node21');
    expect([...begun, ...rest].filter((name) => name !== 'node5')).toHaveLength(20);
  });

  it('passes over those that are not probed, and ends where none is', () => {
    const round = new Round(chance(1));
    expect(round.next(everything)).toBeUndefined();
    round.review(new MemberNames(names));
    expect(round.next(() => false)).toBeUndefined();
    expect(round.next((name) => name === 'node7')).toBe('node7');
    expect(round.some(3, (name) => name === 'node7')).toEqual(['node7']);
    expect(new Set(round.some(3, everything)).size).toBe(3);
    expect(new Round(chance(1)).some(3, everything)).toEqual([]);
  });
});

describe('what is fresh', () => {
  it('is heard once, in any order within bounds', () => {
    const fresh = new Freshness();
    expect(fresh.judge('a', 1, 1)).toBe('unproved');
    fresh.proved('a', 1, 10);
    expect([10, 12, 11, 12, 11, 43, 12, 11, 13, 43].map((count) => fresh.judge('a', 1, count))).toEqual([
      ...['old', 'new', 'new', 'old', 'old', 'new', 'old', 'old', 'new', 'old'],
    ]);
    expect(fresh.judge('a', 2, 44)).toBe('unproved');
    expect(fresh.judge('a', 1, 2 ** 40)).toBe('new');
    expect(fresh.judge('a', 1, 2 ** 40)).toBe('old');
  });
});

describe('time of one’s own', () => {
  it('goes on as long as this process does', () => {
    const time = new OwnTime(1_000);
    time.sleepUntil(2_000);
    expect(time.at(1_500)).toBe(500);
    expect(time.isLate(2_250)).toBe(false);
    expect(time.at(2_250)).toBe(1_250);
    // It stood still for a minute.
    expect(time.isLate(62_250)).toBe(true);
    expect(time.at(62_250)).toBe(1_500);
    time.sleepUntil(62_500);
    expect(time.at(1_000)).toBe(1_500);
    expect(time.at(1_100)).toBe(1_600);
  });
});

describe('the window of loads', () => {
  const figures = { cpus: 4, speed: 1.234, load: 0.5, memTotal: 2 ** 34, memFree: 2 ** 33, jobs: 2 };

  it('says what is wanted and whether a node is drained, to those who know of it', () => {
    const all = new LoadWindow();
    all.put('node1', { ...figures, demand: 3.456, steady: 2, draining: true, mark: 65_535 }, 0);
    const [record] = all.newest(100, everything);
    expect(record).toEqual(['node1', 100, 4, 1.23, 0.5, 2 ** 14, 2 ** 13, 2, 3.46, 2, 1, 65_535]);
    const other = new LoadWindow();
    other.take(LoadRecord.parse(record), 100);
    expect(other.of('node1', 200)).toMatchObject({
      ...{ demand: 3.46, steady: 2, draining: true, mark: 65_535, ageMs: 200 },
    });
  });

  it('of an earlier version says less, and of a later one more, of which what is known is passed on', () => {
    const early = ['node1', 0, 4, 1, 0.5, 100, 50, 2];
    const own = [...early, 1, 1, 0, 7];
    for (const [said, known] of [
      [early, early],
      [[...own, 17, { more: true }], own],
    ]) {
      const window = new LoadWindow();
      window.take(LoadRecord.parse(said), 0);
      expect(window.of('node1', 0)).toMatchObject({ cpus: 4, jobs: 2 });
      // JSON has nothing for what is absent in the middle.
      expect(JSON.parse(JSON.stringify(window.newest(0, everything)))).toEqual([known]);
    }
    expect(LoadRecord.safeParse([...early, 'x']).success).toBe(false);
    expect(LoadRecord.safeParse([...early, 1, 1, 2]).success).toBe(false);
  });

  it('has the newest of each, its age, and passes the youngest on', () => {
    const loads = new LoadWindow();
    loads.put('me', figures, 10_000);
    loads.take(['a', 3_000, 1, 1, 1, 1, 1, 1], 10_000);
    loads.take(['b', 1_000, 1, 1, 1, 1, 1, 1], 10_000);
    // The same, come another way; an older one; a younger one.
    loads.take(['b', 900, 9, 1, 1, 1, 1, 1], 10_000);
    loads.take(['a', 5_000, 9, 1, 1, 1, 1, 1], 10_000);
    loads.take(['a', 2_000, 2, 1, 1, 1, 1, 1], 10_000);
    expect(loads.newest(10_000.5, everything).map(([node, age, cpus]) => [node, age, cpus])).toEqual([
      ['me', 1, 4],
      ['b', 1_001, 1],
      ['a', 2_001, 2],
    ]);
    expect(loads.of('me', 11_000)).toEqual({ ...figures, speed: 1.23, ageMs: 1_000 });
    loads.forget('b');
    expect(loads.of('b', 11_000)).toBeNull();
    expect(loads.newest(10_000, everything)).toHaveLength(2);
    expect(loads.newest(10_000 + 7_200_000, everything)).toEqual([]);
  });

  it('that keeps the recent ones alone passes on what one that keeps all does', () => {
    const [all, recent] = [new LoadWindow(), new LoadWindow('recent')];
    const random = chance(2);
    for (let now = 0; now < 300_000; now += 100) {
      const node = `n${Math.floor(random() * 500)}`;
      for (const loads of [all, recent])
        loads.take([node, Math.floor(random() * 3_000), 1, 1, 1, 1, 1, 1], now);
      random();
    }
    const of = (loads: LoadWindow) => loads.newest(300_000, everything).length;
    expect(of(recent)).toBe(of(all));
  });
});

describe('a datagram', () => {
  const pairOf = (type: 'ec' | 'ed25519' | 'rsa', options: object = {}) =>
    (generateKeyPairSync as (type: string, options: object) => { privateKey: KeyObject })(type, options)
      .privateKey;
  const pem = (key: KeyObject) => Buffer.from(key.export({ type: 'pkcs8', format: 'pem' }) as string);
  const keys = {
    'P-256': pairOf('ec', { namedCurve: 'P-256' }),
    'P-384': pairOf('ec', { namedCurve: 'P-384' }),
    ed25519: pairOf('ed25519'),
    'RSA 2048': pairOf('rsa', { modulusLength: 2_048 }),
  };
  const message: Message = {
    ...{ to: 'node2', life: 5, count: 1, word: { type: 'ping', nonce: 4 } },
    ...{ incarnation: 0, roster: 0, statements: [], loads: [] },
  };
  const pinOf = (key: KeyObject) => {
    const shown = createPublicKey(key).export({ type: 'spki', format: 'der' });
    return `sha256:${createHash('sha256').update(shown).digest('hex')}`;
  };
  const opener = (...pinned: [KeyObject, string][]) => {
    const made = new Opener();
    made.review(new Map(pinned.map(([key, name]) => [pinOf(key), name])));
    return made;
  };

  it.each(Object.entries(keys))('sealed with a key of %s is opened by who has it pinned', (_, key) => {
    const sealed = Seal.of(pem(key))!.seal(message)!;
    expect(opener([key, 'node1']).open(sealed, 0)).toEqual({ from: 'node1', message });
    expect(opener().open(sealed, 0)).toBeNull();
  });

  it('is none with a key that leaves no room', () => {
    expect(Seal.of(pem(pairOf('rsa', { modulusLength: 4_096 })))).toBeNull();
  });

  it('has its bound, and no longer one is sent or opened', () => {
    const key = keys['P-256'];
    const seal = Seal.of(pem(key))!;
    const frame = JSON.stringify({ ...message, to: '' }).length;
    const long = (bytes: number) => ({ ...message, to: 'x'.repeat(bytes - frame) });
    expect(seal.seal(long(seal.room))).toHaveLength(DATAGRAM_BYTES);
    expect(seal.seal(long(seal.room + 1))).toBeNull();
    // A member that sends what no other would.
    const rightly = (text: string) => {
      const shown = createPublicKey(key).export({ type: 'spki', format: 'der' });
      const content = Buffer.concat([
        Buffer.from('GWM1\0'),
        Buffer.from([shown.length]),
        shown,
        Buffer.from(text),
      ]);
      const signature = sign('sha256', content, { key, dsaEncoding: 'ieee-p1363' });
      return Buffer.concat([content, signature, Buffer.from([0, signature.length])]);
    };
    const text = JSON.stringify(message);
    expect(opener([key, 'a']).open(rightly(text.padEnd(seal.room)), 0)).not.toBeNull();
    expect(opener([key, 'a']).open(rightly(text.padEnd(seal.room + 1)), 0)).toBeNull();
    for (const no of ['{', '', '\0', '['.repeat(seal.room)])
      expect(opener([key, 'a']).open(rightly(no), 0)).toBeNull();
  });

  it('is nobody’s when any bit is another, or any byte is missing', () => {
    const key = keys['P-256'];
    const sealed = Seal.of(pem(key))!.seal(message)!;
    // Each has its own second, for not too many are looked at in one.
    const open = opener([key, 'node1']);
    let second = 0;
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed);
      changed[at]! ^= 1 << (at % 8);
      second += 1_000;
      expect(open.open(changed, second), `byte ${at}`).toBeNull();
      expect(open.open(sealed.subarray(0, at), second)).toBeNull();
    }
    second += 1_000;
    expect(open.open(sealed, second)).not.toBeNull();
  });

  it('that is garbage is nothing, and nothing is thrown', () => {
    const random = chance(9);
    const open = opener([keys['P-256'], 'node1']);
    const head = Seal.of(pem(keys['P-256']))!.seal(message)!.subarray(0, 97);
    for (let round = 0; round < 2_000; round++) {
      const bytes = Buffer.from(Array.from({ length: Math.floor(random() * 1_300) }, () => random() * 256));
      expect(open.open(bytes, round * 1_000)).toBeNull();
      expect(open.open(Buffer.concat([head, bytes]), round * 1_000)).toBeNull();
    }
  });

  it('of a member that says what the schema has not is not heard', () => {
    const key = keys['P-256'];
    const bad: object[] = [
      { ...message, word: { type: 'stop' } },
      { ...message, incarnation: -1 },
      { ...message, incarnation: 1.5 },
      { ...message, statements: [['node2', 'gone', 0, 'node1']] },
      { ...message, statements: [['-', 'dead', 0, 'node1']] },
      { ...message, loads: [['node2', -1, 1, 1, 1, 1, 1, 1]] },
      { ...message, loads: [['node2', 0, 1, 1, 1, 1, 1, 1e300]] },
      { ...message, loads: 'all' },
      [],
    ];
    for (const one of bad) {
      const sealed = Seal.of(pem(key))!.seal(one as Message)!;
      expect(opener([key, 'node1']).open(sealed, 0), JSON.stringify(one)).toBeNull();
    }
  });

  it('in floods costs no more than a bounded number of checks, and another member is heard all the same', () => {
    const [key, other] = [keys['P-256'], keys.ed25519];
    const open = opener([key, 'node1'], [other, 'node2']);
    const sealed = Seal.of(pem(key))!.seal(message)!;
    const opened = Array.from({ length: 5_000 }, () => open.open(sealed, 0)).filter((one) => one !== null);
    expect(opened.length).toBeLessThan(100);
    expect(open.open(Seal.of(pem(other))!.seal(message)!, 0)?.from).toBe('node2');
    expect(open.open(sealed, 1_000)?.from).toBe('node1');
  });
});
