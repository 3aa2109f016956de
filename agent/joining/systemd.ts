/** A node's agent as a service of systemd: its unit written and started, or found as a package has brought it. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { isNodeError } from '../api/errors';
import { messageOf } from '../log';
import { writeWhole } from '../machine/whole-file';
import { noTemplate, serviceFailed, serviceTaken } from './service-errors';
import {
  type AgentCommand,
  configIn,
  PACKAGED_UNITS,
  PAUSES_FILE,
  PAUSES_FOLDER,
  pausesFor,
  UNIT,
  UNIT_FILE,
  unitOf,
} from './unit';

/** It answers at once; a stop waits for the agent's end, by systemd's own deadline of a minute and a half. */
const SYSTEMCTL_TIMEOUT_MS = 120_000;

/** Whether systemd is this machine's PID 1: sd_booted(3). */
export const hasSystemd = () => existsSync('/run/systemd/system');

/** Whether there is a unit for this configuration. */
export async function isOurUnit(config: string): Promise<boolean> {
  return hasSystemd() && (await unitFor())?.config === config;
}

/** Whether it is to run now: it does, or is about to, or (where that is asked) is in one of these states. */
export async function isActive(...states: string[]): Promise<boolean> {
  const property = states.length > 0 ? 'SubState' : 'ActiveState';
  const state = await systemctl('show', `--property=${property}`, '--value', UNIT);
  return (states.length > 0 ? states : ['active', 'activating', 'reloading']).includes(state.trim());
}

/** What its agent said last; what systemd says of the unit is not of it. */
export async function lastWords(): Promise<string> {
  const own = `_SYSTEMD_UNIT=${UNIT}`;
  const line = await systemdProgram('journalctl', '--quiet', '--lines=1', '--output=cat', own);
  return messageOf(line.trim());
}

/**
 * Writes what is missing, and starts it, also at each boot. What it has written is away again where that fails.
 * @throws GodwitError `service-taken`, `service-failed`, `no-service-file`
 */
export async function startUnit(command: AgentCommand): Promise<string[]> {
  const there = await unitFor();
  if (there && there.config !== command[2] && (there.file === UNIT_FILE || (await isActive())))
    throw serviceTaken(there.file, there.config);
  try {
    const steps = await writeUnit(command);
    if (steps.length > 0) await systemctl('daemon-reload');
    await systemctl('enable', '--quiet', UNIT);
    if (steps.length === 0 && (await isActive())) return [];
    // One that runs by another unit's words is started anew; jobs don't notice.
    await systemctl('restart', UNIT);
    return [...steps, `started the service ${UNIT}, now and at each boot`];
  } catch (error) {
    if (there?.file !== UNIT_FILE) await stopUnit().catch(() => {});
    throw error;
  }
}

/** Stops it, and takes away what was written; a package's file stays. One that isn't there is no error. */
export async function stopUnit(): Promise<string[]> {
  const stopped = (await isActive()) ? [`stopped the service ${UNIT}`] : [];
  await systemctl('disable', '--now', '--quiet', UNIT);
  const written = [UNIT_FILE, PAUSES_FILE].filter(existsSync);
  for (const file of written) await rm(file, { force: true });
  // A person's own changes stay, and say so by being there.
  await rmdir(PAUSES_FOLDER).catch(unlessInUse);
  if (written.length > 0) await systemctl('daemon-reload');
  await systemctl('reset-failed', UNIT).catch(() => {});
  return [...stopped, ...written.map((file) => `removed ${file}`)];
}

/** Ends its agent and starts it. */
export async function restartUnit(): Promise<string[]> {
  await systemctl('restart', UNIT);
  return [`restarted the service ${UNIT}`];
}

/** The unit that is in force: what is in /etc hides what a package has. */
async function unitFor(): Promise<{ file: string; config: string | null } | null> {
  for (const file of [UNIT_FILE, ...PACKAGED_UNITS]) {
    const text = await readIfThere(file);
    if (text !== null) return { file, config: configIn(text) };
  }
  return null;
}

/** Returns a step for each file that was not as it has to be. */
async function writeUnit(command: AgentCommand): Promise<string[]> {
  const unit = unitOf(await readTemplate(dirname(command[1])), command);
  const packaged = await Promise.all(PACKAGED_UNITS.map(readIfThere));
  const own = packaged.includes(unit) ? [] : await writeIfOther(UNIT_FILE, unit);
  const pauses = pausesFor(await systemctl('--version'));
  return [...own, ...(pauses ? await writeIfOther(PAUSES_FILE, pauses) : [])];
}

async function readTemplate(programs: string): Promise<string> {
  const path = join(programs, UNIT);
  return readFile(path, 'utf8').catch((error: Error) => {
    throw noTemplate(path, error.message);
  });
}

async function writeIfOther(file: string, text: string): Promise<string[]> {
  if ((await readIfThere(file)) === text) return [];
  await mkdir(dirname(file), { recursive: true, mode: 0o755 });
  await writeWhole(file, text, 0o644);
  return [`wrote ${file}`];
}

const readIfThere = (file: string) => readFile(file, 'utf8').catch(() => null);

/** @throws GodwitError `service-failed` with its last line of complaint */
async function systemdProgram(program: string, ...args: string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, args, { timeout: SYSTEMCTL_TIMEOUT_MS });
    return stdout;
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    throw serviceFailed(['systemctl', ...args].join(' '), (stderr?.trim() || message).split('\n').at(-1)!);
  }
}

function unlessInUse(error: unknown): void {
  if (!isNodeError(error) || !['ENOENT', 'ENOTEMPTY'].includes(error.code ?? '')) throw error;
}

const systemctl = (...args: string[]) => systemdProgram('systemctl', ...args);
