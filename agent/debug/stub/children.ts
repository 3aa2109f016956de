/**
 * Children of a process whose client wants a debugger for each of them. gdb lets a child go when it has dealt with the
 * fork. The child then gets a stub of its own, before it runs an instruction, and the client is told of that one's
 * session. The child of a vfork shares its parent's memory, in which no second debugger may set anything: gdbserver
 * holds it, unseen by the client, until it runs a program of its own.
 */
import { asGodwitError } from '../../api/errors';
import type { Gdbserver } from '../attach/gdbserver';
import { parseStopReply, parseThreadId, threadOfStop } from '../rsp/packets';
import { remember } from '../state/memory';
import type { Memory } from '../state/parked';

/** From the client, once: a vendor's packet, to which a stub that does not know it answers with nothing. */
export const FOLLOW_CHILDREN = 'Qgodwit.children:1';
/** PATH_MAX. */
const MAX_PROGRAM = 4096;

/** What became of a child that the client has let go; `session`: of the stub that waits there for a client. */
export type ChildTold = { pid: number } & ({ session: string; program: string } | { why: string });

/** What of the inferior it takes. */
interface Parent {
  readonly memory: Memory;
  note(change: Memory): void;
  /** From here on gdbserver holds the child unseen: until it runs a program of its own, or ends. */
  holdUnseen(child: number): void;
  readonly hooks: {
    /**
     * Gives a child a stub of its own, that waits for a client; `letGo` has gdbserver let the child go, into the freezer.
     * Returns that stub's session.
     */
    keepChild(child: number, letGo: () => Promise<void>): Promise<string>;
  };
  emit(event: 'child', told: ChildTold): unknown;
}

/** The resume with which the unseen process runs along: the first action that fits a thread is its own (GDB manual, `vCont`). */
export const runningAlong = (process: number | null, packet: string): string =>
  process === null ? packet : packet.replace(/^vCont/, `vCont;c:p${process.toString(16)}.-1`);

/** Is this reply about a thread of that process, or its end? */
export function isAbout(reply: string, process: number): boolean {
  const stop = parseStopReply(reply);
  if (stop?.kind === 'exited' || stop?.kind === 'signalled') return stop.process === process;
  const thread = threadOfStop(reply);
  return thread !== undefined && parseThreadId(thread)?.process === process;
}

/** The client lets `child` go with `packet`. null: nothing is wanted of that. */
export async function letChildGo(
  packet: string,
  child: number,
  inferior: Parent,
  server: Gdbserver,
): Promise<string | null> {
  const { followsChildren, children, event } = inferior.memory;
  if (!followsChildren || !children.includes(child)) return null;
  if (event === 'vfork') inferior.holdUnseen(child);
  else await keep(child, '', inferior, server);
  inferior.note(remember(inferior.memory, packet, 'OK'));
  return 'OK';
}

/** What gdbserver says of the child of a vfork that it holds unseen. All threads are stopped before and after. */
export async function unseenMet(
  reply: string,
  child: number,
  inferior: Parent,
  server: Gdbserver,
): Promise<void> {
  const stop = parseStopReply(reply);
  if (stop?.kind !== 'stop') return;
  const { reason, detail = '', signal } = stop;
  if (reason === 'exec') {
    const program = Buffer.from(detail, 'hex').toString().slice(0, MAX_PROGRAM);
    return keep(child, program, inferior, server);
  }
  // With the signal that it has stopped for, as gdbserver lets go.
  await server.ask(goodbye(child));
  const why = `it met ${reason ?? `signal ${signal}`} before it ran a program of its own`;
  inferior.emit('child', { pid: child, why });
}

const goodbye = (child: number): string => `D;${child.toString(16)}`;

async function keep(child: number, program: string, inferior: Parent, server: Gdbserver): Promise<void> {
  let gone = false;
  const letGo = async () => {
    gone = true;
    // One that was killed meanwhile can't be let go, and is not found either.
    await server.ask(goodbye(child));
  };
  try {
    const session = await inferior.hooks.keepChild(child, letGo);
    inferior.emit('child', { pid: child, session, program });
  } catch (error) {
    if (!gone) await letGo();
    inferior.emit('child', { pid: child, why: asGodwitError(error).message });
  }
}
