/**
 * What keeps a node's agent up: a unit where systemd is PID 1, elsewhere a supervisor of its own. Jobs and debuggers
 * notice neither its start nor its end: the keeper has them.
 */
import { mkdir, readFile, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type AgentConfig, loadConfig } from '../api/config';
import { keeperPidFile } from '../keeper/watch';
import { nodeCgroup, removeNodeCgroup } from '../machine/cgroup/hierarchy';
import { removeAccounts } from '../machine/cgroup/limits';
import { removeTree } from '../machine/cgroup/tree';
import { endAll } from '../machine/daemons/ending';
import { endSupervised, isSupervised, startSupervised, supervises } from '../machine/daemons/supervised';
import { isAlive, readIdentity, signalPid } from '../machine/proc/identity';
import { answers, lastLogLine, waitForAnswer } from './answering';
import { agentRunsAlready, didNotStart, nodeHasJobs, notRoot } from './service-errors';
import { hasSystemd, isActive, isOurUnit, lastWords, restartUnit, startUnit, stopUnit } from './systemd';

/** What keeps a node's agent up, by the file of its configuration; tells `step` each thing that it has done. */
export interface Service {
  step(what: string): void;
  /** Returns when the agent answers. */
  start(config: string): Promise<void>;
  /** Ends the agent and takes away what keeps it up. What is not there is no error. */
  stop(config: string): Promise<unknown>;
}

export interface ServiceRequest {
  /** The file of the node's configuration. */
  config: string;
  /** What it runs, as it was built. */
  programs: { node: string; agent: string };
  /** `false`: without systemd, even where it is. */
  systemd?: boolean | undefined;
}

export interface Started {
  by: 'systemd' | 'supervisor';
  /** What was done, each a line for the person; none where it runs as asked for. */
  steps: string[];
  /** The command that a person has to have run at each boot; null where that is seen to. */
  atBoot: string | null;
}

/** What an agent without systemd has in its state folder. */
export const serviceFiles = (state: string) => ({
  log: join(state, 'agent.log'),
  pidFile: join(state, 'agent.pid'),
  supervisorFile: join(state, 'supervisor.pid'),
});

/**
 * Starts a node's agent so that it is started again whenever it ends; whether it answers is for the caller to see. One
 * that runs is left as it is; or handed over to the other of the two, or to the programs that are named now, its jobs
 * running on.
 * @throws GodwitError `not-root`, `service-taken`, `service-failed`, `no-service-file`, `agent-runs`, and what
 *   `loadConfig` throws; then nothing has been left behind
 */
export async function startService({ config, programs, systemd = true }: ServiceRequest): Promise<Started> {
  checkRoot();
  const node = await loadConfig(config);
  const { node: program, agent } = programs;
  const files = serviceFiles(node.state);
  const [supervised, ofUnit] = [await isSupervised(files.supervisorFile), await isOurUnit(config)];
  const active = ofUnit && (await isActive());
  if (!supervised && !active && (await answers(node.socket)) !== 'down') throw agentRunsAlready(config);
  if (systemd && hasSystemd()) {
    if (supervised) await endSupervised(files);
    return { by: 'systemd', steps: await startUnit([program, agent, config]), atBoot: null };
  }
  const before = ofUnit ? await stopUnit() : [];
  const atBoot = `${program} ${join(dirname(agent), 'godwit.cjs')} agent --start --no-service --config ${config}`;
  const argv: [string, ...string[]] = [program, agent, config];
  if (await supervises(files.supervisorFile, argv)) return { by: 'supervisor', steps: before, atBoot };
  // One whose supervisor was killed, or one of a Godwit at another place.
  await endSupervised(files);
  await mkdir(node.state, { recursive: true, mode: 0o755 });
  await startSupervised({ ...files, argv });
  return { by: 'supervisor', steps: [...before, `started the agent, its log is ${files.log}`], atBoot };
}

/** The machine's own: a unit of systemd's, or a supervisor. */
export const machineService = (
  request: Omit<ServiceRequest, 'config'>,
  step: (what: string) => void,
): Service => ({
  step,
  start: async (config) => {
    const { steps, atBoot } = await startService({ config, ...request });
    for (const one of steps) step(one);
    await untilItAnswers({ config });
    if (atBoot) step(`nothing starts it at boot: have this run then: ${atBoot}`);
  },
  stop: (config) => stopService({ config }),
});

/**
 * Returns when an agent that was started answers. One that ends first is tried again, as long as it is not stopped.
 * @throws GodwitError `did-not-start` with its last words, and what `loadConfig` throws
 */
export async function untilItAnswers({ config }: Pick<ServiceRequest, 'config'>): Promise<void> {
  const { name, state, socket } = await loadConfig(config);
  const { log, pidFile } = serviceFiles(state);
  const ofUnit = (await isOurUnit(config)) && (await isActive());
  const last = async () => (ofUnit ? lastWords() : lastLogLine(log));
  const why = await waitForAnswer(socket, async () => {
    if (ofUnit) return (await isActive('running', 'start')) ? null : last();
    const agent = await readIdentity(pidFile);
    return agent && !(await isAlive(agent)) ? last() : null;
  });
  if (why !== null) throw didNotStart(name, why);
}

/**
 * Takes away what keeps the agent up, the agent, its keeper, and what they have outside of the state folder. What is not
 * there is no error, and done again it goes on from there.
 * @throws GodwitError `not-root`, `node-has-jobs`, `service-failed`, `agent-runs`, `will-not-end`, and what `loadConfig` throws
 */
export async function stopService({ config }: Pick<ServiceRequest, 'config'>): Promise<{ steps: string[] }> {
  checkRoot();
  const node = await loadConfig(config);
  if (await runsJobs(node)) throw nodeHasJobs(node.name);
  const steps = (await isOurUnit(config)) ? await stopUnit() : [];
  const files = serviceFiles(node.state);
  if (await isSupervised(files.supervisorFile)) steps.push('ended the agent');
  await endSupervised(files);
  // One that a person has started would only start another keeper.
  if ((await answers(node.socket)) !== 'down') throw agentRunsAlready(config);
  const keeper = await readIdentity(keeperPidFile(node.state));
  if (keeper && (await isAlive(keeper))) steps.push('ended the keeper');
  await endAll([keeper]);
  await removeTraces(node);
  return { steps };
}

/** Ends the agent and has it started again, as after an upgrade. One that does not run stays so. */
export async function restartService({
  config,
}: Pick<ServiceRequest, 'config'>): Promise<{ steps: string[] }> {
  checkRoot();
  const { pidFile, supervisorFile } = serviceFiles((await loadConfig(config)).state);
  if ((await isOurUnit(config)) && (await isActive())) return { steps: await restartUnit() };
  const agent = await readIdentity(pidFile);
  if (!agent || !(await isAlive(agent)) || !(await isSupervised(supervisorFile))) return { steps: [] };
  signalPid(agent.pid, 'SIGTERM');
  return { steps: ['ended the agent; its supervisor starts it again'] };
}

/** Whether jobs, or parts of some, are on the node: asked of the kernel, whether an agent answers or not. */
export async function runsJobs({ cgroup }: Pick<AgentConfig, 'cgroup'>): Promise<boolean> {
  const events = await readFile(join(await nodeCgroup(cgroup), 'cgroup.events'), 'utf8').catch(() => '');
  return /^populated 1$/m.test(events);
}

/** All but the state folder's own, which is its owner's: a node that is stopped may be started again. */
async function removeTraces({
  state,
  cgroup,
  socket,
  keeperSocket,
  userSockets,
}: AgentConfig): Promise<void> {
  const { pidFile, supervisorFile } = serviceFiles(state);
  for (const file of [pidFile, supervisorFile, keeperPidFile(state), socket, keeperSocket])
    await rm(file, { force: true });
  await rm(userSockets, { recursive: true, force: true });
  // Others may have theirs there.
  for (const path of [socket, keeperSocket]) await rmdir(dirname(path)).catch(() => {});
  await removeTree(await nodeCgroup(cgroup));
  await removeNodeCgroup(cgroup);
  await removeAccounts(cgroup);
}

function checkRoot(): void {
  if (process.getuid?.() !== 0) throw notRoot();
}
