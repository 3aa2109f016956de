/**
 * Named steps of a move at which a test can make an agent of a lab wait, so that a fault strikes exactly there.
 *
 * A test writes the file `STATE/faults/POINT`. The agent that passes the point next takes it away, leaves
 * `POINT.reached` in its place, and goes on when that is gone; an agent that is killed there and started again passes.
 * Agents of real machines have no fault points at all.
 */
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../log';

export const FAULT_POINTS = {
  home: [
    'intent-written',
    'prepared-received',
    'sent-received',
    'restored-received',
    'commit-written',
    'thawed-received',
    'thawed-written',
    'discarded-received',
    'abort-written',
    'resumed-received',
  ],
  source: [
    'sending-noted',
    'streams-open',
    'parked',
    'dump-started',
    'dumped',
    'images-sent',
    'thawing',
    'unparked',
    'hosting-noted',
    'killing',
    'killed',
    'cleared',
  ],
  destination: [
    'receiving-noted',
    'prepared',
    'pages-here',
    'mounts-known',
    'restore-started',
    'restored',
    'restored-noted',
    'thawing-noted',
    'unparked',
    'hosting-noted',
    'killing',
    'killed',
    'cleared',
  ],
} as const;

/** The steps by which a copy without a home gets one: no move comes by them. */
export const ADOPTION_POINTS = [
  'adoption.intended',
  'adoption.written',
  'adoption.severed',
  'adoption.told',
] as const;

export type FaultPoint =
  | {
      [R in keyof typeof FAULT_POINTS]: `${R}.${(typeof FAULT_POINTS)[R][number]}`;
    }[keyof typeof FAULT_POINTS]
  | (typeof ADOPTION_POINTS)[number];

const POLL_MS = 5;

export interface FaultPoints {
  reach(point: FaultPoint): Promise<void>;
}

export const faultsFolder = (state: string) => join(state, 'faults');

export const noFaultPoints: FaultPoints = { reach: () => Promise.resolve() };

export function faultPointsIn(folder: string, log: Log): FaultPoints {
  return {
    async reach(point) {
      const armed = join(folder, point);
      const reached = `${armed}.reached`;
      try {
        renameSync(armed, reached);
      } catch {
        // No test waits for it.
        return;
      }
      log(`stands still at ${point}`);
      while (existsSync(reached)) await sleep(POLL_MS);
    },
  };
}
