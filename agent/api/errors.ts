import type { Obstacle } from './model';
import { cut } from './text';
import { type Versions, versionsText } from './versions';

/** Of each line of a failure: what others wrote is often part of it, and may be of any length. */
const LINE_SHOWN = 2_000;

/**
 * Every failure that a person may meet, as one shape: what happened, why, and what to do.
 * `code` is stable (scripts and the editor match on it); the sentences are for people.
 */
export interface Failure {
  code: string;
  /** What happened and why, one line, no full stop at the end. */
  message: string;
  /** What to do about it, one line; absent where nothing can be done. */
  fix?: string | undefined;
  /** Of a move that is refused: all obstacles to it; of one that failed: the one that it met. */
  obstacles?: Obstacle[] | undefined;
}

export class GodwitError extends Error {
  readonly code: string;
  readonly fix: string | undefined;
  readonly obstacles: Obstacle[] | undefined;

  constructor({ code, message, fix, obstacles }: Failure, options?: ErrorOptions) {
    super(cut(message, LINE_SHOWN), options);
    this.name = 'GodwitError';
    this.code = code;
    this.fix = fix === undefined ? undefined : cut(fix, LINE_SHOWN);
    this.obstacles = obstacles;
  }

  toFailure(): Failure {
    const { code, message, fix, obstacles } = this;
    return { code, message, fix, ...(obstacles && { obstacles }) };
  }

  /** The one line that the command prints on stderr. */
  toLine(): string {
    return this.fix ? `${this.message}; ${this.fix}` : this.message;
  }
}

export const isNodeError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && 'code' in error;

/** Any thrown value as a GodwitError, so that nothing crosses a boundary without a code. */
export function asGodwitError(error: unknown, code = 'internal'): GodwitError {
  if (error instanceof GodwitError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new GodwitError({ code, message }, { cause: error });
}

// Named factories: one place for each sentence, so that command, editor and tests agree on it.

export const noSuchJob = (job: string) =>
  new GodwitError({
    code: 'no-such-job',
    message: `no job "${job}"`,
    fix: 'see `godwit ps -a` for the jobs there are',
  });

export const noSuchNode = (node: string, known: string[]) =>
  new GodwitError({
    code: 'no-such-node',
    message: `no node "${node}"`,
    fix: `the nodes are ${known.join(', ')}`,
  });

export const nodeUnreachable = (node: string, why: string) =>
  new GodwitError({
    code: 'node-unreachable',
    message: `node ${node} can't be reached: ${why}`,
    fix: 'see `godwit nodes`; is its agent running?',
  });

export const jobEnded = (job: string) =>
  new GodwitError({
    code: 'job-ended',
    message: `job ${job} has ended`,
    fix: 'see `godwit history` for how',
  });

/** The job has another home now. */
export const jobAdopted = (job: string, by: string) =>
  new GodwitError({
    code: 'job-adopted',
    message: `job ${job} has ${by} as its home now: its copy there was adopted`,
    fix: 'see `godwit ps`; ask again',
  });

export const jobQueued = (job: string) =>
  new GodwitError({
    code: 'job-queued',
    message: `job ${job} is queued: it has not begun`,
    fix: 'see `godwit why` for what it waits for; `godwit kill` takes it out of the queue',
  });

export const isArray = (name: string, count: number) =>
  new GodwitError({
    code: 'is-array',
    message: `${name} is an array of ${count} jobs`,
    fix: `name one of them, like ${name}.0`,
  });

export const notYours = (job: string, owner: string) =>
  new GodwitError({
    code: 'not-yours',
    message: `job ${job} is ${owner}'s`,
    fix: owner === 'root' ? 'do it as root' : `do it as ${owner}, or as root`,
  });

/** @param what begins the sentence, without an article where it has none */
export const rootOnly = (what: string) =>
  new GodwitError({ code: 'root-only', message: `${what} is root's to ask for`, fix: 'do it as root' });

export const nodeDraining = (node: string) =>
  new GodwitError({
    code: 'node-draining',
    message: `${node} is drained: no job comes to it`,
    fix: `\`godwit undrain ${node}\` first, or choose another node`,
  });

export const notOnNode = (node: string, nodes: readonly string[]) =>
  new GodwitError({
    code: 'not-on-node',
    message: `the job is to be on ${nodes.join(', ')} only, and ${node} is none of these`,
    fix: 'choose one of these',
  });

export const notYourJob = (job: string, node: string) =>
  new GodwitError({ code: 'not-your-job', message: `${node} may not report on job ${job}` });

export const notHome = (node: string, home: string) =>
  new GodwitError({ code: 'not-home', message: `${node} claims to be ${home}` });

export const notAccepted = (node: string, from: string) =>
  new GodwitError({
    code: 'not-accepted',
    message: `${node} takes no jobs and no users' requests from ${from} ("acceptFrom" in its configuration)`,
    fix: `choose another node, or have ${from} named there`,
  });

export const rootJobsRefused = (node: string) =>
  new GodwitError({
    code: 'root-jobs-refused',
    message: `${node} runs no jobs of root ("acceptRootJobs" in its configuration)`,
    fix: 'choose another node, or run it as another user',
  });

export const idsRefused = (node: string, ids: readonly number[]) =>
  new GodwitError({
    code: 'ids-refused',
    message: `${node} runs no jobs of other nodes with the user or group numbers ${ids.join(', ')} ("acceptIds" in its configuration)`,
    fix: 'choose another node, or run it as a user without them',
  });

export const rootRefused = (node: string) =>
  new GodwitError({
    code: 'root-refused',
    message: `root of another node has no rights to the jobs of ${node} ("acceptRootJobs" in its configuration)`,
    fix: `do it on ${node} itself, or as the job's user`,
  });

export const noTerminal = (job: string) =>
  new GodwitError({
    code: 'no-terminal',
    message: `job ${job} has no terminal to type into`,
    fix: 'run it with --tty',
  });

export const initNotDebugged = (job: string, pid: number) =>
  new GodwitError({
    code: 'init-not-debugged',
    message: `process ${pid} of job ${job} is its init, a part of Godwit that no debugger gets`,
    fix: `its program is process 2: \`godwit gdb ${job}\` without -p`,
  });

export const jobMoving = (job: string) =>
  new GodwitError({
    code: 'job-moving',
    message: `job ${job} is moving`,
    fix: 'try again when the move is over',
  });

/** @param obstacles one at least; all of them, so that who has cleared one away does not meet the next */
export function cannotMove(job: string, node: string, obstacles: Obstacle[]): GodwitError {
  const { code, what, fix } = obstacles[0]!;
  return new GodwitError({ code, message: `job ${job} can't move to ${node}: ${what}`, fix, obstacles });
}

export const alreadyThere = (job: string, node: string) =>
  new GodwitError({ code: 'already-there', message: `job ${job} is on ${node} already` });

export const noAgent = (socket: string, why: string) =>
  new GodwitError({
    code: 'no-agent',
    message: `no agent answers at ${socket}: ${why}`,
    fix: "start a lab with `godwit lab up`, or this machine's agent with `godwit agent`",
  });

/** An agent may well answer others there. */
export const notAdmitted = (socket: string) =>
  new GodwitError({
    code: 'not-admitted',
    message: `this user is not admitted to the agent at ${socket}`,
    fix: 'ask its administrator for the group godwit, or run the same as root',
  });

/** Enough to find the place: the rest is whatever the other side has sent. */
const WRONG_SHOWN = 300;

export const badMessage = (what: string, why: string) =>
  new GodwitError({
    code: 'bad-message',
    message: `${cut(what, WRONG_SHOWN)} is not valid: ${cut(why, WRONG_SHOWN)}`,
  });

export const wrongVersion = (theirs: Versions, ours: Versions) =>
  new GodwitError({
    code: 'wrong-version',
    message: `the other side speaks protocol ${versionsText(theirs)}, this one ${versionsText(ours)}`,
    fix: 'upgrade the older of the two: a version of Godwit works with itself and with the one before',
  });

/** Of two nodes, said by a third. */
export const apartInVersion = (one: string, its: Versions, other: string, theirs: Versions) =>
  new GodwitError({
    code: 'wrong-version',
    message: `${one} speaks protocol ${versionsText(its)}, and ${other} ${versionsText(theirs)}`,
    fix: 'upgrade the older of the two, or move it by way of a node of a version between them',
  });

export const wrongCheckpoint = (written: number, reader: string, read: Versions) =>
  new GodwitError({
    code: 'wrong-version',
    message: `the source's checkpoints are of version ${written}, and ${reader} reads ${versionsText(read)}`,
    fix: `upgrade ${reader}`,
  });
