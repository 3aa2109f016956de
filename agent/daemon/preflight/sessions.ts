/**
 * Sessions whose leader has ended. CRIU gives a process its session by forking it from the leader, or from one that is in
 * that session still, before that one leaves it: it must be above it in the tree of processes. For children of PID 1 it
 * makes such a leader for a moment.
 */
import type { Obstacle } from '../../api/model';
import type { JobProcess } from '../../machine/proc/processes';

/** A place in the tree by its number in the job. */
interface Place {
  inner: number;
  session: number;
  above: Place | null;
}

function treeOf(processes: JobProcess[]): Map<number, Place> {
  const places = new Map(
    processes.map(({ pid, inner, session }): [number, Place] => [pid, { inner, session, above: null }]),
  );
  for (const { pid, parent } of processes) places.get(pid)!.above = places.get(parent) ?? null;
  return places;
}

/** Above each of PID 1's children that is in another session comes the leader of that, there or made for a moment. */
function withLeaders(places: Map<number, Place>, root: Place): void {
  const made = new Map([...places.values()].map((place) => [place.inner, place]));
  for (const place of places.values()) {
    const { inner, session, above } = place;
    if (above !== root || session === inner || session === root.session) continue;
    const leader = made.get(session) ?? { inner: session, session, above: root };
    made.set(session, leader);
    place.above = leader;
  }
}

/** Processes that CRIU can't bring back in their sessions. `processes`: PID 1 first. */
export function strandedOf(processes: JobProcess[]): JobProcess[] {
  const places = treeOf(processes);
  const root = places.get(processes[0]?.pid ?? 0);
  if (!root) return [];
  withLeaders(places, root);
  /** In which session a process must have been when it forked another: one at most. */
  const born = new Map<Place, number>();
  return processes.filter(({ pid }) => {
    const { inner, session, above } = places.get(pid)!;
    if (session === inner || !above || above.session === session) return false;
    let place: Place | null = above;
    for (; place && place.inner !== session; place = place.above) {
      if ((born.get(place) ?? session) !== session) return true;
      born.set(place, session);
    }
    return place === null;
  });
}

export const sessionObstacles = (processes: JobProcess[], who: (pid: number) => string): Obstacle[] =>
  strandedOf(processes).map(({ pid, session }) => ({
    code: 'session-leader',
    what: `${who(pid)} is in session ${session}, of which no process above it is, so CRIU can't bring it back there`,
    fix: 'have it begin a session of its own (setsid), or end it before the move',
  }));
