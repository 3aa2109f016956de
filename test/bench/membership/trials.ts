/** What a cluster of so many members does when one dies, datagrams are lost, one joins; and what it costs. */
import {
  type Change,
  ENVELOPE_BYTES,
  namesOf,
  World,
  type WorldOptions,
} from '../../support/membership-world';

const SECOND = 1_000;
const HOUR_SECONDS = 3_600;
/** Of the messages the length of each so many-th is measured, to leave time for the rest. */
const MEASURED = 7;
/** Members of large clusters of whom everything is looked at; the others keep what they pass on. */
const LOOKED_AT = 100;

export interface Plan {
  members: number;
  /** Clusters, and deaths in each. */
  worlds: number;
  deaths: number;
  /** Seconds under loss, and for the cost. */
  lossy: number;
  costing: number;
  /** Seconds in which load has come to where it stays; 0 where that takes too long to wait for. */
  settling: number;
}

export const PLANS: Plan[] = [
  { members: 10, worlds: 20, deaths: 1, lossy: 7_200, costing: 60, settling: 60 },
  { members: 100, worlds: 5, deaths: 2, lossy: 1_200, costing: 30, settling: 60 },
  { members: 1_000, worlds: 1, deaths: 10, lossy: 240, costing: 10, settling: 120 },
  { members: 10_000, worlds: 1, deaths: 10, lossy: 60, costing: 5, settling: 0 },
];

/** A link repeats what is lost. Without it there would be datagrams alone, and much to tell of large clusters. */
const LOSSES = [
  { what: '1 %', loss: 0.01, links: true, most: Number.POSITIVE_INFINITY },
  { what: '5 %', loss: 0.05, links: true, most: Number.POSITIVE_INFINITY },
  { what: '5 %, no links', loss: 0.05, links: false, most: 1_000 },
];

export interface Figures {
  members: number;
  /** Seconds until a dead member is down, over all nodes and deaths. */
  down: { median: number; worst: number; curve: number[] };
  /** Until the first node suspects it. */
  suspected: { median: number; worst: number };
  joined: number;
  /** Suspicions of members that were there, a node and hour, and those that were taken for dead, in so many hours. */
  falsely: { what: string; suspected: number; dead: number; nodeHours: number }[];
  messages: number;
  bytes: number;
  /** Seconds; null where not waited for. */
  age: { median: number; worst: number } | null;
}

const world = (members: number, options: Partial<WorldOptions> = {}) =>
  new World({ seed: members, names: namesOf(members), proof: false, loads: false, ...options });

/** Sorts. */
const medianOf = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
const short = (value: number) => Number(value.toPrecision(3));
const spread = (values: number[]) => ({ median: short(medianOf(values)), worst: short(values.at(-1)!) });

export function measure(plan: Plan): Figures {
  return {
    members: plan.members,
    ...deaths(plan),
    joined: joining(plan),
    falsely: LOSSES.filter(({ most }) => plan.members <= most).map(({ what, loss, links }) => ({
      what,
      ...falsely(plan, loss, links),
    })),
    ...cost(plan),
  };
}

function deaths({ members, worlds, deaths: many }: Plan): Pick<Figures, 'down' | 'suspected'> {
  const downs: number[] = [];
  const firsts: number[] = [];
  for (let round = 0; round < worlds; round++) {
    const all = world(members, { seed: 1_000 * members + round });
    all.run(5 * SECOND + all.random() * SECOND);
    const victims = new Map<string, number>();
    for (let n = 0; n < many; n++) {
      const name = `node${1 + Math.floor(((n + all.random()) * members) / many)}`;
      victims.set(name, all.now);
      all.stop(name);
      all.run(500);
    }
    all.until(() => [...victims.keys()].every((name) => all.agree(name, 'dead')), 300 * SECOND);
    for (const [name, died] of victims) {
      const of = all.changes.filter(({ node }) => node === name);
      const after = (standing: string) =>
        of.filter((change) => change.standing === standing).map(({ at }) => (at - died) / SECOND);
      for (const took of after('dead')) downs.push(took);
      firsts.push(Math.min(...after('suspect')));
    }
  }
  const { median, worst } = spread(downs);
  // `spread` has sorted them.
  const curve = Array.from({ length: 101 }, (_, part) =>
    short(downs[Math.min(downs.length - 1, Math.floor((part / 100) * downs.length))]!),
  );
  return { down: { median, worst, curve }, suspected: spread(firsts) };
}

function joining({ members }: Plan): number {
  const all = world(members);
  all.run(3 * SECOND);
  all.join(`node${members + 1}`, 'node1');
  return all.until(() => all.running.every(({ roster }) => roster === 2), 120 * SECOND) / SECOND;
}

function falsely({ members, lossy }: Plan, loss: number, links: boolean) {
  const all = world(members, { network: { loss, delayMs: [1, 20], links: () => links } });
  all.run(lossy * SECOND);
  const nodeHours = (members * lossy) / HOUR_SECONDS;
  const found = all.changes.filter(({ by, seenBy, standing }) => by === seenBy && standing === 'suspect');
  const dead = all.changes.filter(({ standing }) => standing === 'dead').length;
  return { suspected: short(found.length / nodeHours), dead, nodeHours: short(nodeHours) };
}

function cost({ members, costing, settling }: Plan): Pick<Figures, 'messages' | 'bytes' | 'age'> {
  const step = Math.max(1, members / LOOKED_AT);
  const looked = new Set(namesOf(members).filter((_, place) => place % step === 0));
  const all = world(members, { loads: true, keepAll: (name) => looked.has(name) });
  all.run((settling || 10) * SECOND);
  let [count, bytes, measured] = [0, 0, 0];
  all.onMessage = (_, message) => {
    if (count++ % MEASURED !== 0) return;
    measured++;
    bytes += JSON.stringify(message).length + ENVELOPE_BYTES;
  };
  all.run(costing * SECOND);
  const messages = count / members / costing;
  return {
    messages: short(messages),
    bytes: Math.round((messages * bytes) / measured),
    age: settling === 0 ? null : spread(agesIn(all, looked)),
  };
}

function agesIn(all: World, looked: ReadonlySet<string>): number[] {
  const names = [...all.hosts.keys()];
  return [...looked].flatMap((name) =>
    names
      .filter((other) => other !== name)
      .map((other) => all.gossip(name).load(other, all.now)?.ageMs)
      .filter((age) => age !== undefined)
      .map((age) => age / SECOND),
  );
}

/** How the suspicion of one member went through a cluster: who heard it from whom, and when. */
export function wave(members: number): Change[] {
  const all = world(members, { seed: 4 });
  all.run(5 * SECOND);
  all.stop('node1');
  all.until(() => all.agree('node1', 'suspect'), 60 * SECOND);
  return all.changes.filter(({ node, standing }) => node === 'node1' && standing === 'suspect');
}
