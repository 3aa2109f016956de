/** A program that has the terminal until it ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { isNodeError } from '../api/errors';
import { exitStatusOf } from '../api/signals';
import { cannotStart, noProgram } from './errors';

/** The terminal sends these to the program as well, and it knows what to do. */
const FROM_TERMINAL = ['SIGINT', 'SIGQUIT'] as const;
/** Sent to this process alone. */
const PASSED_ON = ['SIGTERM', 'SIGHUP'] as const;

/**
 * Runs it to its end, also when Ctrl-C is typed meanwhile, and returns its exit status.
 * @throws GodwitError `no-program`, `cannot-start`
 */
export async function inForeground(program: string, args: string[]): Promise<number> {
  const stayAlive = () => {};
  const passOn = (signal: NodeJS.Signals) => void child.kill(signal);
  for (const signal of FROM_TERMINAL) process.on(signal, stayAlive);
  const child = spawn(program, args, { stdio: 'inherit' });
  for (const signal of PASSED_ON) process.on(signal, passOn);
  try {
    return exitStatus(...((await once(child, 'exit')) as [number | null, NodeJS.Signals | null]));
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') throw noProgram(program);
    throw cannotStart(program, (error as Error).message);
  } finally {
    for (const signal of FROM_TERMINAL) process.off(signal, stayAlive);
    for (const signal of PASSED_ON) process.off(signal, passOn);
  }
}

const exitStatus = (code: number | null, signal: NodeJS.Signals | null): number =>
  signal ? exitStatusOf(signal) : (code ?? 1);
