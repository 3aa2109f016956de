/**
 * The moves under way that this node has a part in. It is apart from what begins them, and made before it: what looks
 * after a job asks here whether the job is being moved, and what moves jobs needs those who look after them.
 */
import type { MovePhase } from '../../api/client-events';
import type { Coordinator } from './coordinator';
import type { DestinationExecutor } from './destination-executor';
import type { SourceExecutor } from './source-executor';

/** By job. They remember the last epoch that they have seen, so one that is here may be at rest. */
export class MovesUnderWay {
  readonly coordinators = new Map<string, Coordinator>();
  readonly sources = new Map<string, SourceExecutor>();
  readonly destinations = new Map<string, DestinationExecutor>();

  /** As its home: is a move of the job not over? */
  isMoving(job: string): boolean {
    return this.coordinators.get(job)?.moving === true;
  }

  /** As its host: is a move of the job away from here not over? */
  isLeaving(job: string): boolean {
    return this.sources.get(job)?.busy === true;
  }

  /** As a host of any job: is a move not over? */
  get isBusy(): boolean {
    return [...this.sources.values(), ...this.destinations.values()].some(({ busy }) => busy);
  }

  phase(job: string): MovePhase | null {
    return this.coordinators.get(job)?.phase ?? null;
  }

  /** Whose job it is that is on its way here or from here; null where none is. */
  homeOf(job: string): string | null {
    const executors = [this.sources.get(job), this.destinations.get(job)];
    return executors.find((executor) => executor?.busy)?.home ?? null;
  }
}
