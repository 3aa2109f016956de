/** The breakpoints of the editor, of every kind, and what gdb has made of them. */
import { basename } from 'node:path';
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { MIBreakpointInfo } from 'cdt-gdb-adapter/dist/mi';
import type { Hits } from '../gdb/contract';
import type { Gdb } from '../gdb/gdb';
import { quoted } from '../gdb/quoting';
import { hitsOf, passedBy, stopsOf } from './hits';
import { logParts } from './log-points';

type Location = { path: string; line: number } | { function: string } | { address: string };
/** What gdb itself catches: an exception of C++, a signal, a fork. */
interface Event {
  caught: string;
}

/** One breakpoint as it is wanted. */
export interface Wanted {
  at: Location | Event | { watched: string; access: DebugProtocol.DataBreakpointAccessType };
  condition?: string | undefined;
  hitCondition?: string | undefined;
  logMessage?: string | undefined;
  hardware?: boolean | undefined;
}

interface Placed {
  /** What was wanted, as text. */
  wanted: string;
  /** gdb's number for it; absent where gdb refused. */
  number?: string;
  answer: DebugProtocol.Breakpoint;
}

/** As gdb's explicit locations have it; MI wants a second dash. */
function locate(place: Location, dash: '-' | '--'): string {
  if ('path' in place) return `${dash}source ${quoted(place.path)} ${dash}line ${place.line}`;
  return 'function' in place ? `${dash}function ${quoted(place.function)}` : `*${place.address}`;
}

/** gdb answers with one breakpoint, or with one and its several places. */
type Inserted = { bkpt: MIBreakpointInfo | MIBreakpointInfo[] };

/** x86-64 and most of arm64 have four, of eight bytes each. */
const NO_REGISTER =
  "the processor's debug registers are taken: there are four, each for eight bytes that begin at a multiple of eight, and hardware breakpoints take of them too";

export class Breakpoints {
  private readonly groups = new Map<string, Placed[]>();
  /** A group at a time. */
  private turn: Promise<unknown> = Promise.resolve();

  constructor(private readonly gdb: Gdb) {}

  /** Are there any that the program can be stopped by? */
  get any(): boolean {
    return [...this.groups.values()].some((placed) => placed.length > 0);
  }

  has(group: string): boolean {
    return this.groups.has(group);
  }

  /** The group of the breakpoint with gdb's number. */
  groupOf(number: string): string | undefined {
    for (const [group, placed] of this.groups) if (placed.some((one) => one.number === number)) return group;
    return undefined;
  }

  /** The place of the breakpoint with gdb's number among those that are wanted of a group, or -1. */
  indexIn(group: string, number: string): number {
    return (this.groups.get(group) ?? []).findIndex((one) => one.number === number);
  }

  /**
   * Makes gdb's breakpoints of this group those that are wanted; what has not changed stays as it is, its count of
   * hits too. The program must not run.
   * @param group a file, or a kind of breakpoints; each is set as a whole
   */
  set(group: string, wanted: Wanted[]): Promise<DebugProtocol.Breakpoint[]> {
    const answer = this.turn.then(() => this.replace(group, wanted));
    this.turn = answer.catch(() => {});
    return answer;
  }

  private async replace(group: string, wanted: Wanted[]): Promise<DebugProtocol.Breakpoint[]> {
    const old = [...(this.groups.get(group) ?? [])];
    const kept = wanted.map((one) => {
      // One that was refused may find its place now.
      const at = old.findIndex(({ number, wanted }) => number && wanted === JSON.stringify(one));
      return at < 0 ? undefined : old.splice(at, 1)[0];
    });
    const dropped = old.flatMap(({ number }) => number ?? []);
    if (dropped.length > 0) await this.gdb.sendCommand(`-break-delete ${dropped.join(' ')}`).catch(() => {});
    const placed: Placed[] = [];
    this.groups.set(group, placed);
    // gdb gets all at once, and answers in this order.
    placed.push(...(await Promise.all(wanted.map((one, index) => kept[index] ?? this.place(one)))));
    return placed.map(({ answer }) => answer);
  }

  /**
   * For a program that begins anew: hits are counted from the first, and what was set by an address is dropped, which
   * means something else there. Returns those.
   * @param byAddress groups of them
   */
  async again(byAddress: readonly string[]): Promise<DebugProtocol.Breakpoint[]> {
    const dropped = byAddress.flatMap((group) => this.groups.get(group) ?? []);
    for (const group of byAddress) if (this.has(group)) await this.set(group, []);
    for (const { number, wanted } of [...this.groups.values()].flat()) {
      const { hitCondition, logMessage } = JSON.parse(wanted) as Wanted;
      const hits = hitsOf(hitCondition);
      if (!number || !hits) continue;
      if (logMessage) await this.gdb.python.ask('log_anew', { number: Number(number) });
      else await this.count(number, hits);
    }
    return dropped.map(({ answer }) => answer);
  }

  /** What gdb says of a breakpoint, if that is news: a place for it was found in a library that was loaded. */
  changed(info: MIBreakpointInfo): DebugProtocol.Breakpoint | undefined {
    for (const placed of [...this.groups.values()].flat()) {
      if (placed.number !== info.number || placed.answer.verified) continue;
      const answer = told(info);
      if (!answer.verified) continue;
      placed.answer = answer;
      return answer;
    }
    return undefined;
  }

  /** gdb has dropped it: the person did, by a command. */
  deleted(number: string): DebugProtocol.Breakpoint | undefined {
    for (const [group, placed] of this.groups) {
      const found = placed.find((one) => one.number === number);
      if (!found) continue;
      this.groups.set(
        group,
        placed.filter((one) => one !== found),
      );
      return found.answer;
    }
    return undefined;
  }

  private async place(wanted: Wanted): Promise<Placed> {
    const text = JSON.stringify(wanted);
    let number: string | undefined;
    try {
      const hits = hitsOf(wanted.hitCondition);
      const inserted = await this.insert(wanted, hits);
      number = inserted.number;
      if (hits && !wanted.logMessage) await this.count(number, hits);
      return { wanted: text, number, answer: inserted.answer };
    } catch (error) {
      if (number) await this.drop(number);
      return { wanted: text, answer: { verified: false, message: (error as Error).message.trim() } };
    }
  }

  private async insert(
    wanted: Wanted,
    hits: Hits | undefined,
  ): Promise<{ number: string; answer: DebugProtocol.Breakpoint }> {
    const { at, logMessage, condition, hardware } = wanted;
    if ('watched' in at) return this.insertWatch(at.watched, at.access, condition);
    if ('caught' in at) return this.insertCatch(at.caught, condition);
    if (logMessage) return this.insertLogPoint(at, logMessage, condition, hits);
    const options = `-f ${hardware ? '-h ' : ''}${condition ? `-c ${quoted(condition)} ` : ''}`;
    const command = `-break-insert ${options}${locate(at, '--')}`;
    const { bkpt } = await this.gdb.sendCommand<Inserted>(command);
    const [info, place] = Array.isArray(bkpt) ? bkpt : [bkpt];
    return { number: info!.number, answer: told(info!, place) };
  }

  /** Those that don't count are passed by; after the last that does there are no more. */
  private async count(number: string, hits: Hits): Promise<void> {
    const [passed, stops] = [passedBy(hits), stopsOf(hits)];
    if (hits.kind === 'each')
      return void (await this.gdb.python.ask('stop_at_each', { number: Number(number), count: hits.count }));
    if (passed > 0) await this.gdb.sendCommand(`-break-after ${number} ${passed}`);
    if (stops !== undefined)
      await this.gdb.sendCommand(`-interpreter-exec console "enable count ${stops} ${number}"`);
  }

  private async insertWatch(
    watched: string,
    access: DebugProtocol.DataBreakpointAccessType,
    condition: string | undefined,
  ) {
    const flag = { read: '-r ', write: '', readWrite: '-a ' }[access];
    const made = await this.gdb
      .sendCommand<Record<string, { number?: string } | undefined>>(`-break-watch ${flag}${quoted(watched)}`)
      .catch((error: Error) => this.tooMany(error));
    const number = Object.values(made).find((value) => value?.number !== undefined)!.number!;
    try {
      if (condition) await this.gdb.sendCommand(`-break-condition ${number} ${quoted(condition)}`);
    } catch (error) {
      await this.drop(number);
      throw error;
    }
    return { number, answer: { id: Number(number), verified: true } };
  }

  /** It is put into the program at once: of what does not fit into the debug registers gdb says so, and keeps it. */
  private async tooMany(error: Error): Promise<never> {
    const left = /Could not insert hardware (?:access |read )?watchpoint (\d+)/.exec(error.message)?.[1];
    if (!left) throw error;
    await this.drop(left);
    throw new Error(NO_REGISTER);
  }

  private async insertCatch(caught: string, condition: string | undefined) {
    const number = await this.gdb.python.ask('catch', { what: caught, condition });
    return { number: String(number), answer: { id: number, verified: true } };
  }

  private async insertLogPoint(
    at: Location,
    message: string,
    condition: string | undefined,
    hits: Hits | undefined,
  ) {
    // Its count of hits is Python's, as its condition is: what never stops is never counted by gdb.
    const point = { location: locate(at, '-'), parts: logParts(message), condition, hits };
    const number = String(await this.gdb.python.ask('log_point', point));
    const { BreakpointTable } = await this.gdb.sendCommand<{ BreakpointTable: { body: MIBreakpointInfo[] } }>(
      `-break-info ${number}`,
    );
    const [info, place] = BreakpointTable.body;
    return { number, answer: told(info!, place) };
  }

  private async drop(number: string): Promise<void> {
    await this.gdb.sendCommand(`-break-delete ${number}`).catch(() => {});
  }
}

/** `place`: the first of several places, where there are several. */
function told(info: MIBreakpointInfo, place?: MIBreakpointInfo): DebugProtocol.Breakpoint {
  const { line, fullname, file, addr } = info.line || !place ? info : place;
  const id = Number(info.number);
  if (info.addr === '<PENDING>')
    return { id, verified: false, message: 'no such place in what the program has loaded (yet)' };
  return {
    id,
    verified: true,
    ...(line ? { line: Number(line) } : {}),
    ...(fullname ? { source: { name: basename(file || fullname), path: fullname } } : {}),
    ...(addr?.startsWith('0x') ? { instructionReference: addr } : {}),
  };
}
