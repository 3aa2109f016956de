/** What can be broken during a move, each a thing that a machine room does. */
import { killPid } from '../../agent/machine/proc/identity';
import type { FaultLab } from './fault-lab';

export type RoleName = 'home' | 'source' | 'destination';
/** Which node has which part in a move. */
export type Cast = Record<RoleName, string>;

export interface Fault {
  name: string;
  /** Breaks it; answers with how it is mended, or null where there was nothing to break. */
  strike: (lab: FaultLab, cast: Cast) => Promise<(() => Promise<void>) | null>;
  /** It may end a job, which must then be said at once with its cause. */
  mayLose: 'never' | 'debugged' | 'always';
}

/** A link that is down so long is noticed only by calls that wait for an answer. */
export const CUT_MS = 1_000;
/** Agents take a link for dead after 15 s without a sign of life. */
export const LONG_CUT_MS = 22_000;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const agents = (...roles: RoleName[]): Fault => ({
  name: `agent of ${roles.join(' and ')}`,
  mayLose: 'never',
  strike: async (lab, cast) => {
    const nodes = [...new Set(roles.map((role) => cast[role]))];
    await Promise.all(nodes.map((node) => lab.kill(node)));
    return async () => {
      await Promise.all(nodes.map((node) => lab.restart(node)));
    };
  },
});

const keeper = (role: RoleName): Fault => ({
  name: `keeper of ${role}`,
  mayLose: 'debugged',
  strike: async (lab, cast) => {
    await lab.killKeeper(cast[role]);
    return async () => {};
  },
});

/** CRIU is in a job's namespaces for a moment, and then not found among the node's; nor is a program that is being put in place. */
const [LOOKS, LOOK_MS] = [20, 25];

const processes = (name: string, role: RoleName, word: string, mayLose: Fault['mayLose']): Fault => ({
  name,
  mayLose,
  strike: async (lab, cast) => {
    let pids: number[] = [];
    for (let left = LOOKS; pids.length === 0 && left > 0; left--) {
      pids = await lab.processesWith(cast[role], word);
      if (pids.length === 0) await pause(LOOK_MS);
    }
    if (pids.length === 0) return null;
    for (const pid of pids) killPid(pid);
    return async () => {};
  },
});

const link = (role: RoleName, ms: number, name: string): Fault => ({
  name: `${name} of ${role}`,
  mayLose: 'never',
  strike: async (lab, cast) => {
    await lab.link(cast[role], 'down');
    return async () => {
      await pause(ms);
      await lab.link(cast[role], 'up');
    };
  },
});

export const FAULTS: Fault[] = [
  agents('source'),
  agents('destination'),
  agents('home'),
  agents('source', 'destination'),
  agents('source', 'home'),
  agents('destination', 'home'),
  keeper('source'),
  keeper('destination'),
  processes('CRIU that dumps', 'source', 'dump', 'always'),
  processes('CRIU that takes pages', 'destination', 'page-server', 'never'),
  processes('CRIU that restores', 'destination', 'restore', 'never'),
  processes('gdbserver of source', 'source', '--attach', 'debugged'),
  processes('gdbserver of destination', 'destination', '--attach', 'debugged'),
  link('source', CUT_MS, 'link'),
  link('destination', CUT_MS, 'link'),
  link('home', CUT_MS, 'link'),
];

export const LONG_FAULTS: Fault[] = [
  link('source', LONG_CUT_MS, 'long-dead link'),
  link('destination', LONG_CUT_MS, 'long-dead link'),
  link('home', LONG_CUT_MS, 'long-dead link'),
];
