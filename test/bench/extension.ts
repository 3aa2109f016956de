/**
 * What the extension costs in VS Code: two windows, one with it and one without, each reloaded in turn; then how soon the
 * Cluster view shows what has happened, and what the extension host uses while jobs sleep.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { childrenOf } from '../../agent/debug/attach/threads';
import { type JobProcess, readProcess } from '../../agent/machine/proc/processes';
import { Godwit } from '../support/godwit';
import { commandLine } from '../support/processes';
import { newestPackage } from '../vscode/harness/extension';
import { Vscode } from '../vscode/harness/vscode';
import { median } from './debugger/figures';
import type { BenchOptions } from './options';

const LAB = `bench-${process.pid}`;
const RELOADS = 5;
const LAUNCHES = 10;
/** Jobs that sleep while the extension host is watched. */
const ASLEEP = 20;
const WATCHED_MS = 20_000;
const SHOWN_MS = 60_000;

/** `[COUNT]`: how many reloads of each window. Prints a line for each figure. */
export async function benchExtension({ numbers }: BenchOptions): Promise<Record<string, number>> {
  const figures: Record<string, number> = {};
  const tell = (name: string, value: number, unit: string) => {
    figures[name] = value;
    process.stdout.write(`${name}: ${value.toFixed(value < 10 ? 2 : 0)}${unit}\n`);
  };
  const godwit = await Godwit.labUp(LAB, { nodes: 2 });
  const windows: Vscode[] = [];
  const open = async (view: string, extensions: string[]) => {
    const env = { GODWIT_LAB: LAB };
    const atEnd = Godwit.downCommand(LAB);
    const vscode = await Vscode.open({ view, env, extensions, atEnd });
    windows.push(vscode);
    return vscode;
  };
  try {
    const without = await open('Explorer', []);
    const withIt = await open('Godwit', [newestPackage()]);
    await reloads({ without, withIt, count: numbers[0] ?? RELOADS }, tell);
    await withIt.workbench.openView('Godwit');
    await shows(withIt, godwit, tell);
    for (let at = 0; at < ASLEEP; at++) await godwit.run(['/bin/sleep', '1000000'], { name: `sleeps-${at}` });
    await withIt.workbench.row(`sleeps-${ASLEEP - 1}`).waitFor({ timeout: SHOWN_MS });
    await rests({ bare: hostOf(without), own: hostOf(withIt) }, tell);
    return figures;
  } finally {
    for (const vscode of windows) await vscode.close();
    await Godwit.labDown(LAB);
  }
}

type Tell = (name: string, value: number, unit: string) => void;

/** In turns, so that what else the machine does strikes both. */
async function reloads(
  { without, withIt, count }: { without: Vscode; withIt: Vscode; count: number },
  tell: Tell,
): Promise<void> {
  const times = { without: [] as number[], withIt: [] as number[] };
  for (let round = 0; round < count; round++) {
    times.without.push(await reload(without, 'Explorer'));
    times.withIt.push(await reload(withIt, 'Godwit'));
  }
  const [bare, own] = [median(times.without), median(times.withIt)];
  tell('a window is ready without the extension, ms', bare, ' ms');
  tell('a window is ready with it, ms', own, ' ms');
  tell('with it, times as long', own / bare, ' times');
}

async function reload({ workbench }: Vscode, view: string): Promise<number> {
  const begun = performance.now();
  await workbench.reload(view);
  return performance.now() - begun;
}

/** From the answer to a launch to its row. */
async function shows({ workbench }: Vscode, godwit: Godwit, tell: Tell): Promise<void> {
  const times: number[] = [];
  for (let at = 0; at < LAUNCHES; at++) {
    const { id } = await godwit.run(['/bin/sleep', '1000000'], { name: `shown-${at}` });
    const begun = performance.now();
    await workbench.row(`shown-${at}`).waitFor({ timeout: SHOWN_MS });
    times.push(performance.now() - begun);
    await godwit.kill(id);
  }
  tell('a job that was launched is a row, ms', median(times), ' ms');
}

/** @param hosts the processes of both extension hosts */
async function rests(hosts: { bare: number; own: number }, tell: Tell): Promise<void> {
  const both = () => Promise.all([hosts.bare, hosts.own].map(host));
  const before = await both();
  await sleep(WATCHED_MS);
  const [bare, own] = (await both()).map(({ cpuUsec, rss }, at) => ({
    share: (cpuUsec - before[at]!.cpuUsec) / (WATCHED_MS * 1_000),
    rss,
  }));
  tell(`extension host beside ${ASLEEP} jobs that sleep, % of a core`, own!.share * 100, ' %');
  tell('extension host without the extension, % of a core', bare!.share * 100, ' %');
  tell('extension host, MB', own!.rss / 1e6, ' MB');
  tell('extension host without the extension, MB', bare!.rss / 1e6, ' MB');
}

async function host(pid: number): Promise<JobProcess> {
  const process = await readProcess(pid);
  if (!process) throw new Error(`the extension host ${pid} has ended`);
  return process;
}

/** The extension host of a server: one a window. @throws Error where there is none */
function hostOf({ server }: Vscode): number {
  const family = [server.pid];
  for (const parent of family) family.push(...childrenOf(parent));
  // The last is of the window as it is now: one that is left stays for a while.
  const pid = family.filter((one) => commandLine(one).includes('--type=extensionHost')).at(-1);
  if (pid === undefined) throw new Error('the server has no extension host');
  return pid;
}
