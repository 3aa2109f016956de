/** Programs of the machine's, and Godwit's own, that are run to their end: what they print, and how they failed. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

export interface ExecutionOptions {
  /** After so many milliseconds it is sent `killSignal`; 0, the default: never. */
  timeout?: number;
  /** SIGTERM by default. */
  killSignal?: NodeJS.Signals;
  /** One that prints more is ended: in bytes, 1 MiB by default. */
  maxBuffer?: number;
}

export interface Executed {
  stdout: string;
  stderr: string;
}

/** Why a program did not end with exit status 0. */
export interface ExecutionError extends Error, Executed {
  /** Its exit status; null if a signal ended it; a name such as ENOENT if it could not be started, or printed too much. */
  code: number | string | null;
  /** Because of the time, or of what it printed. */
  killed: boolean;
  signal: NodeJS.Signals | null;
}

/** @throws ExecutionError */
export type Execute = (program: string, args: string[], options?: ExecutionOptions) => Promise<Executed>;

let way: Execute = promisify(execFile);

/** An agent, which is slow at starting programs, has one that is quick do it (`spawner.ts`). */
export function executeBy(quicker: Execute): void {
  way = quicker;
}

/**
 * Runs a program to its end.
 * @throws ExecutionError unless it exits with 0
 */
export const execute: Execute = (program, args, options) => way(program, args, options);
