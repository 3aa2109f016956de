/** Members that gossip, in a world with a time and a chance of its own: what goes wrong there does them no harm. */
import { describe, expect, it } from 'vitest';
import type { Telling } from '../../agent/api/membership';
import { Message } from '../../agent/daemon/membership/message';
import { type Change, namesOf, ROOM, World, type WorldOptions } from '../support/membership-world';

const MINUTE = 60_000;
/** By then all have met. */
const ACQUAINTED = 15_000;

function world(count: number, options: Partial<WorldOptions> = {}): World {
  const made = new World({ seed: 7, names: namesOf(count), ...options });
  made.run(ACQUAINTED);
  return made;
}
const isOf =
  (standing: string, not: string[] = []) =>
  (change: Change) =>
    change.standing === standing && !not.includes(change.node);
const deaths = ({ changes }: World, ...expected: string[]) => changes.filter(isOf('dead', expected));
const suspicions = ({ changes }: World, ...expected: string[]) => changes.filter(isOf('suspect', expected));

describe('a member that dies', () => {
  it.each([2, 3, 4, 10, 50])('is dead for all others of %i soon, and nobody else is', (count) => {
    const all = world(count);
    all.stop('node2');
    const died = all.now;
    const took = all.until(() => all.agree('node2', 'dead'), 30_000);
    // Nobody could have known sooner: it had its time to object.
    expect(Math.min(...deaths(all).map(({ at }) => at - died))).toBeGreaterThan(5_000);
    expect(took).toBeLessThan(count > 10 ? 20_000 : 12_000);
    expect(suspicions(all, 'node2')).toEqual([]);
  });

  it('is known when it is back, soon, without anything that it remembers', () => {
    const all = world(20);
    for (let time = 0; time < 3; time++) {
      all.stop('node2');
      all.until(() => all.agree('node2', 'dead'), 30_000);
      all.run(7 * MINUTE);
      all.start('node2');
      all.until(() => all.agree('node2', 'alive'), 5_000);
    }
    all.run(MINUTE);
    expect(all.agree('node2', 'alive')).toBe(true);
    expect(suspicions(all, 'node2')).toEqual([]);
  });

  it('at once with half of the others is dead for those who are left', () => {
    const all = world(10);
    const gone = namesOf(10).slice(5);
    for (const name of gone) all.stop(name);
    all.until(() => gone.every((name) => all.agree(name, 'dead')), MINUTE);
    expect(suspicions(all, ...gone)).toEqual([]);
  });

  it('and starts again within seconds was at most suspected', () => {
    const all = world(5);
    all.stop('node2');
    all.run(4_000);
    all.start('node2');
    all.run(MINUTE);
    expect(all.agree('node2', 'alive')).toBe(true);
    expect(deaths(all)).toEqual([]);
  });
});

describe('a bad network', () => {
  it('that loses, delays, repeats and reorders kills nobody', () => {
    const network = { loss: 0.05, delayMs: [1, 200] as [number, number], repeated: 0.2 };
    const all = world(30, { network });
    all.run(10 * MINUTE);
    expect(deaths(all)).toEqual([]);
    expect(suspicions(all)).toEqual([]);
    all.stop('node9');
    all.until(() => all.agree('node9', 'dead'), 40_000);
  });

  it('that loses each third datagram kills nobody either', () => {
    const all = world(20, { network: { loss: 0.33 } });
    all.run(5 * MINUTE);
    expect(deaths(all)).toEqual([]);
  });

  it('between two of them is no reason for suspicion: others reach both', () => {
    const pair = new Set(['node1', 'node2']);
    const passes = (from: string, to: string) => !(pair.has(from) && pair.has(to));
    const all = world(5, { network: { passes, links: passes } });
    all.run(5 * MINUTE);
    expect(suspicions(all)).toEqual([]);
    // So many are asked that one of them answers.
    expect(all.sent.exchanges).toBe(0);
  });

  it('that lets no datagrams pass is no reason for suspicion: links do, and load passes by them', () => {
    const all = world(5, { network: { passes: () => false, links: () => true } });
    all.run(5 * MINUTE);
    expect(suspicions(all)).toEqual([]);
    const ages = all.running.map(({ name, gossip }) =>
      name === 'node1' ? 0 : gossip.load('node1', all.now)!.ageMs,
    );
    expect(Math.max(...ages)).toBeLessThan(20_000);
    all.stop('node3');
    all.until(() => all.agree('node3', 'dead'), MINUTE);
  });

  it('that falls in two has two halves that are dead to each other, until it heals', () => {
    let whole = true;
    const half = (name: string) => Number(name.slice('node'.length)) % 2;
    const passes = (from: string, to: string) => whole || half(from) === half(to);
    const all = world(20, { network: { passes, links: passes } });
    whole = false;
    all.until(() => deadPairs(all) === 200, 2 * MINUTE);
    all.run(10 * MINUTE);
    whole = true;
    all.until(() => deadPairs(all) === 0, 15_000);
    all.run(MINUTE);
    expect(deadPairs(all)).toBe(0);
  });

  const deadPairs = (all: World) =>
    all.running
      .flatMap(({ gossip }) => all.running.map(({ name }) => gossip.standing(name)))
      .filter((standing) => standing === 'dead').length;
});

describe('a node that is slow', () => {
  it('and stood still for a while accuses nobody when it goes on', () => {
    const all = world(10);
    all.freeze('node3', 45_000);
    all.run(44_000);
    expect(all.agree('node3', 'dead')).toBe(true);
    const before = all.changes.length;
    all.run(MINUTE);
    expect(all.agree('node3', 'alive')).toBe(true);
    expect(
      all.changes.slice(before).filter(({ by, standing }) => by === 'node3' && standing !== 'alive'),
    ).toEqual([]);
  });

  it('accuses nobody, on a machine that stops all its nodes for seconds, again and again', () => {
    const all = world(4);
    const names = namesOf(4);
    for (let round = 0; round < 100; round++) {
      const ms = 1_000 + all.random() * 6_000;
      for (const name of names) all.freeze(name, ms + all.random() * 100);
      all.run(ms + 200 + all.random() * 2_000);
    }
    expect(suspicions(all)).toEqual([]);
  });

  it('suspects nobody, where each stands still for up to two seconds all the time', () => {
    const all = world(6);
    const names = namesOf(6);
    for (let round = 0; round < 600; round++) {
      const name = names[Math.floor(all.random() * names.length)]!;
      if (all.random() < 0.7) all.freeze(name, 200 + all.random() * 1_800);
      all.run(500);
    }
    expect(suspicions(all)).toEqual([]);
  });

  it('is more patient than others, and no more so when it is well again', () => {
    const all = world(4);
    expect(all.gossip('node1').patience).toBe(1);
    for (let round = 0; round < 5; round++) {
      all.freeze('node1', 2_000);
      all.run(2_250);
    }
    expect(all.gossip('node1').patience).toBeGreaterThan(2);
    all.run(MINUTE);
    expect(all.gossip('node1').patience).toBe(1);
  });
});

describe('the list of members', () => {
  it('that has a new one at one node has it at all, who then know it', () => {
    const all = world(50);
    all.join('node51', 'node7');
    all.until(() => all.running.every(({ roster }) => roster === 2), 15_000);
    all.until(
      () => all.running.every(({ gossip, name }) => name === 'node51' || gossip.isHeardOf('node51')),
      MINUTE,
    );
    expect(all.changes).toEqual([]);
  });

  it('that has lost one has lost it at once, whatever is still said of it', () => {
    const all = world(10);
    all.stop('node4');
    all.until(() => deaths(all).length > 0, 30_000);
    all.remove('node4');
    expect(all.agree('node4', 'alive')).toBe(true);
    expect(all.running.some(({ gossip }) => gossip.isHeardOf('node4'))).toBe(false);
    const before = all.changes.length;
    all.run(5 * MINUTE);
    expect(all.changes).toHaveLength(before);
    expect(all.running.some(({ gossip }) => gossip.isHeardOf('node4'))).toBe(false);
  });

  it('decides who is heard: of others nothing is', () => {
    const all = world(3);
    const message = recorded(all, 'node2', 'node1');
    const answers = all
      .gossip('node1')
      .receive('stranger', { ...message, count: message.count + 1 }, all.now);
    expect(answers).toEqual([]);
    tell(all, 'node2', 'node1', { statements: [['stranger', 'dead', 3, 'node2']] });
    expect(all.gossip('node1').isHeardOf('stranger')).toBe(false);
  });

  it('with a node that comes and goes ten times a minute harms no other', () => {
    const all = world(10);
    for (let time = 0; time < 50; time++) {
      all.stop('node2');
      all.run(all.random() * 6_000);
      all.start('node2');
      all.run(all.random() * 6_000);
    }
    all.until(() => all.agree('node2', 'alive'), 15_000);
    expect(suspicions(all, 'node2')).toEqual([]);
  });
});

/** The last message that one sends another within a minute. */
function recorded(all: World, from: string, to: string): Message {
  let found: Message | undefined;
  const before = all.onMessage;
  all.onMessage = (sender, message) => {
    before(sender, message);
    if (sender === from && message.to === to) found = message;
  };
  all.run(10_000);
  all.onMessage = before;
  return found!;
}

/** A member says what it likes, as only it can: its life and its count are right. */
function tell(all: World, from: string, to: string, lies: Partial<Telling>): void {
  const message = recorded(all, from, to);
  all.deliver(from, to, { ...message, word: { type: 'tell' }, count: message.count + 1_000_000, ...lies });
}

describe('messages that were recorded', () => {
  it('are not heard again: who is dead stays dead', () => {
    const all = world(5);
    const kept: { from: string; message: Message }[] = [];
    all.onMessage = (from, message) => kept.push({ from, message });
    all.run(MINUTE);
    all.stop('node2');
    all.until(() => all.agree('node2', 'dead'), 30_000);
    const before = all.changes.length;
    const ofIt = kept.filter(({ from }) => from === 'node2');
    for (let round = 0; round < 60; round++) {
      for (let some = 0; some < 20; some++) {
        const { from, message } = ofIt[Math.floor(all.random() * ofIt.length)]!;
        all.deliver(from, message.to, message);
      }
      all.run(1_000);
    }
    expect(all.changes).toHaveLength(before);
    expect(all.agree('node2', 'dead')).toBe(true);
  });

  it('of an earlier life are not heard in a later one, nor by another than they were for', () => {
    const all = world(5);
    const kept: { from: string; message: Message }[] = [];
    all.onMessage = (from, message) => kept.push({ from, message });
    all.stop('node3');
    all.until(() => all.agree('node3', 'dead'), 30_000);
    // All begin anew, and know nothing of it.
    for (const name of namesOf(5)) {
      all.stop(name);
      all.start(name);
    }
    all.onMessage = () => {};
    all.run(ACQUAINTED);
    const before = all.changes.length;
    for (const { from, message } of kept) {
      all.deliver(from, message.to, message);
      all.deliver(from, 'node5', message);
    }
    all.run(MINUTE);
    expect(all.changes).toHaveLength(before);
  });

  it('for another are not heard at all', () => {
    const all = world(5);
    const message = recorded(all, 'node2', 'node1');
    const ping = { ...message, count: message.count + 1, word: { type: 'ping', nonce: 1 } as const };
    expect(all.gossip('node3').receive('node2', ping, all.now)).toEqual([]);
    expect(all.gossip('node1').receive('node2', ping, all.now)).toHaveLength(1);
  });

  it('make a node send no more than one answer, and once a second a question', () => {
    const all = world(3);
    const message = recorded(all, 'node2', 'node1');
    const old = { ...message, life: 1, word: { type: 'ping', nonce: 1 } as const };
    const sent = Array.from({ length: 100 }, () => all.gossip('node1').receive('node2', old, all.now)).flat();
    const words = sent.map((out) => ('message' in out ? out.message.word.type : 'exchange'));
    expect(words.filter((word) => word === 'ping')).toHaveLength(1);
    expect(words.filter((word) => word === 'ack')).toHaveLength(100);
    expect(sent.every(({ to }) => to === 'node2')).toBe(true);
  });
});

describe('two nodes with one name', () => {
  it('and one key: the one at the address of the list is believed', () => {
    const all = world(4);
    const clone = new World({ seed: 99, names: namesOf(4) });
    clone.onMessage = (from, message) => {
      if (from === 'node2') all.deliver(from, message.to, message);
    };
    clone.join('node5', 'node2');
    for (let round = 0; round < 300; round++) {
      clone.run(100);
      all.run(100);
    }
    expect(all.changes).toEqual([]);
    // It tells of a later list of members, and is not asked for it.
    all.stop('node2');
    for (let round = 0; round < 300; round++) {
      clone.run(100);
      all.run(100);
    }
    expect(all.agree('node2', 'dead')).toBe(true);
  });
});

describe('a member that lies', () => {
  it('makes nobody dead, and nobody suspect for longer than it takes to object', () => {
    const all = world(10);
    const others = namesOf(10).slice(1);
    for (let round = 0; round < 20; round++) {
      for (const to of others) {
        const about = others[Math.floor(all.random() * others.length)]!;
        const { incarnation } = recorded(all, about, 'node1') ?? { incarnation: 0 };
        const ahead = incarnation + Math.floor(all.random() * 3);
        tell(all, 'node1', to, { statements: [[about, 'dead', ahead, to]] });
      }
    }
    all.run(15_000);
    expect(deaths(all)).toEqual([]);
    expect(others.every((name) => all.agree(name, 'alive'))).toBe(true);
    expect(suspicions(all).length).toBeGreaterThan(0);
  });

  it('has not the last word with the largest number there is', () => {
    const all = world(6);
    const most = Number.MAX_SAFE_INTEGER;
    const statements: Telling['statements'] = [['node3', 'dead', most, 'node1']];
    for (const to of ['node2', 'node3', 'node4']) tell(all, 'node1', to, { statements });
    // To one that has just begun, and knows no better.
    all.stop('node5');
    all.start('node5');
    all.run(100);
    all.run(ACQUAINTED);
    tell(all, 'node1', 'node5', { statements });
    all.run(30_000);
    expect(all.agree('node3', 'alive')).toBe(true);
    all.stop('node3');
    all.until(() => all.agree('node3', 'dead'), MINUTE);
    all.start('node3');
    all.until(() => all.agree('node3', 'alive'), 10_000);
  });

  it('about another’s load is believed until that one is heard itself', () => {
    const all = world(5);
    tell(all, 'node1', 'node4', { loads: [['node2', 0, 64, 9, 0, 1, 1, 0]] });
    expect(all.gossip('node4').load('node2', all.now)!.cpus).toBe(64);
    tell(all, 'node1', 'node4', { loads: [['node4', 0, 64, 9, 0, 1, 1, 0]] });
    expect(all.gossip('node4').load('node4', all.now)!.cpus).toBe(4);
    all.run(10_000);
    expect(all.gossip('node4').load('node2', all.now)!.cpus).toBe(4);
  });

  it('can have another be asked no more than a few times', () => {
    const all = world(3);
    const message = recorded(all, 'node2', 'node1');
    const sent = Array.from({ length: 2_000 }, (_, n) =>
      all
        .gossip('node1')
        .receive(
          'node2',
          { ...message, count: message.count + 1 + n, word: { type: 'try', nonce: n, node: 'node3' } },
          all.now,
        ),
    );
    expect(sent.flat().length).toBeLessThan(300);
  });
});

describe('load', () => {
  it('of each is known to all: of few, some seconds old at most', () => {
    const all = world(10);
    const ages = all.running.flatMap(({ name, gossip }) =>
      namesOf(10).map((node) => (node === name ? 0 : gossip.load(node, all.now)!.ageMs)),
    );
    expect(ages).toHaveLength(100);
    expect(Math.max(...ages)).toBeLessThan(6_000);
  });

  it('of many it is as old as it says, whatever clocks say', () => {
    const hour = 3_600_000;
    const clock = (name: string) =>
      name === 'node3'
        ? { off: hour, rate: 1.01 }
        : name === 'node4'
          ? { off: -hour, rate: 0.99 }
          : { off: 0, rate: 1 };
    const all = world(100, { clock });
    all.run(MINUTE);
    expect(all.changes).toEqual([]);
    const of = (name: string) => all.running.find((host) => host.name === name)!;
    const born = all.now;
    all.stop('node3');
    all.run(10_000);
    const ages = all.running.map((host) => host.gossip.load('node3', all.clockOf(host))?.ageMs);
    const known = ages.filter((age) => age !== undefined);
    expect(known.length).toBeGreaterThan(90);
    // None pretends to be younger than the node's last word.
    expect(Math.min(...known)).toBeGreaterThan((all.now - born) * 0.98 - 500);
    expect(of('node4').gossip.load('node1', all.clockOf(of('node4')))!.ageMs).toBeLessThan(MINUTE);
  });
});

describe('messages', () => {
  it('are of the schema and have room, with names as long as they can be', () => {
    const long = namesOf(60).map((name) => name.padEnd(63, 'x'));
    const all = new World({ seed: 3, names: long });
    let longest = 0;
    let told = 0;
    all.onMessage = (_, message) => {
      longest = Math.max(longest, Buffer.byteLength(JSON.stringify(message)));
      told = Math.max(told, message.statements.length);
      expect(Message.safeParse(message).error).toBeUndefined();
    };
    all.run(ACQUAINTED);
    for (const name of long.slice(40)) all.stop(name);
    all.run(MINUTE);
    expect(longest).toBeGreaterThan(ROOM - 200);
    expect(longest).toBeLessThanOrEqual(ROOM);
    expect(told).toBeGreaterThan(3);
  });

  it('are the same for the same chance', () => {
    const said = (seed: number) => {
      const all = new World({ seed, names: namesOf(8), network: { loss: 0.1 } });
      const lines: string[] = [];
      all.onMessage = (from, message) => lines.push(from + JSON.stringify(message));
      all.run(20_000);
      return lines;
    };
    expect(said(5)).toEqual(said(5));
    expect(said(5)).not.toEqual(said(6));
  });

  it('are two or three a node and second, however many members there are', () => {
    const rate = (count: number) => {
      const all = new World({ seed: 1, names: namesOf(count), proof: false });
      all.run(5_000);
      const before = all.sent.messages;
      all.run(20_000);
      return (all.sent.messages - before) / count / 20;
    };
    expect(rate(4)).toBeCloseTo(2, 1);
    expect(rate(20)).toBeCloseTo(3, 1);
    expect(rate(200)).toBeCloseTo(3, 1);
  });
});
