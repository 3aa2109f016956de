/** Whether source and destination are of versions that understand each other. */
import type { Obstacle } from '../../api/model';
import { common, includes, type Understood, versionsText } from '../../api/versions';
import { obstacle } from './obstacles';

interface End extends Understood {
  node: string;
}

export function versionObstacles(from: End, to: End): Obstacle[] {
  const names = { from: from.node, to: to.node };
  if (common(from.protocol, to.protocol) === null) {
    const spoken = { there: versionsText(to.protocol), here: versionsText(from.protocol) };
    return [obstacle('wrong-version/protocol', { ...names, ...spoken })];
  }
  const written = from.checkpoint.newest;
  if (includes(to.checkpoint, written)) return [];
  const read = versionsText(to.checkpoint);
  return [obstacle('wrong-version/checkpoint', { ...names, written, read })];
}
