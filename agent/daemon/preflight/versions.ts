/** Whether source and destination are of versions that understand each other. */
import { apartInVersion, wrongCheckpoint } from '../../api/errors';
import type { Obstacle } from '../../api/model';
import { common, includes, type Understood } from '../../api/versions';
import { asObstacle } from './obstacles';

interface End extends Understood {
  node: string;
}

export function versionObstacles(from: End, to: End): Obstacle[] {
  if (common(from.protocol, to.protocol) === null)
    return [asObstacle(apartInVersion(from.node, from.protocol, to.node, to.protocol))];
  const written = from.checkpoint.newest;
  return includes(to.checkpoint, written)
    ? []
    : [asObstacle(wrongCheckpoint(written, to.node, to.checkpoint))];
}
