import type { MoveReport } from '../api/model';
import { size, span } from './text';

/** `frozen 212 ms of 480 ms, 3.4 MB (stop): prepare 20 ms, park 22 ms, …` */
export function moveText({ freezeMs, totalMs, bytes, transfer, phases }: MoveReport): string {
  const each = Object.entries(phases).map(([phase, ms]) => `${phase} ${span(ms)}`);
  return `frozen ${span(freezeMs)} of ${span(totalMs)}, ${size(bytes)} (${transfer}): ${each.join(', ')}`;
}
