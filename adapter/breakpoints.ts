/** The breakpoints of the editor, of every kind, and what gdb has made of them. */
import { basename } from 'node:path';
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { MIBreakpointInfo } from 'cdt-gdb-adapter/dist/mi';
import type { Chatter } from './chatter';
import type { Gdb } from './gdb';
import { DEFINE_LOG_POINTS, logPointCommand, quoted } from './log-points';

type Place = { path: string; line: number } | { function: string } | { address: string };

/** One breakpoint as it is wanted. */
export interface Wanted {
  at: Place | { watched: string; access: DebugProtocol.DataBreakpointAccessType };
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
function locate(place: Place, dash: '-' | '--'): string {
  if ('path' in place) return `${dash}source ${quoted(place.path)} ${dash}line ${place.line}`;
  return 'function' in place ? `${dash}function ${quoted(place.function)}` : `*${place.address}`;
}

/** gdb answers with one breakpoint, or with one and its several places. */
type Inserted = { bkpt: MIBreakpointInfo | MIBreakpointInfo[] };

export class Breakpoints {
  private readonly groups = new Map<string, Placed[]>();
  private logPoints: Promise<unknown> | undefined;
  /** A group at a time: what gdb says to the making of a log point is to be told from all else. */
  private turn: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly gdb: Gdb,
    private readonly chatter: Chatter,
  ) {}

  has(group: string): boolean {
    return this.groups.has(group);
  }

  /** The group of the breakpoint with gdb's number. */
  groupOf(number: string): string | undefined {
    for (const [group, placed] of this.groups) if (placed.some((one) => one.number === number)) return group;
    return undefined;
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
      const at = old.findIndex((placed) => placed.wanted === JSON.stringify(one));
      return at < 0 ? undefined : old.splice(at, 1)[0];
    });
    const dropped = old.flatMap(({ number }) => number ?? []);
    if (dropped.length > 0) await this.gdb.sendCommand(`-break-delete ${dropped.join(' ')}`).catch(() => {});
    const placed: Placed[] = [];
    this.groups.set(group, placed);
    for (const [index, one] of wanted.entries()) placed.push(kept[index] ?? (await this.place(one)));
    return placed.map(({ answer }) => answer);
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
      const inserted = await this.insert(wanted);
      number = inserted.number;
      if (wanted.condition && !wanted.logMessage)
        await this.gdb.sendCommand(`-break-condition ${number} ${quoted(wanted.condition)}`);
      if (hits && hits.ignored > 0) await this.gdb.sendCommand(`-break-after ${number} ${hits.ignored}`);
      if (hits?.once) await this.gdb.sendCommand(`-interpreter-exec console "enable once ${number}"`);
      return { wanted: text, number, answer: inserted.answer };
    } catch (error) {
      if (number) await this.gdb.sendCommand(`-break-delete ${number}`).catch(() => {});
      return { wanted: text, answer: { verified: false, message: (error as Error).message } };
    }
  }

  private async insert(wanted: Wanted): Promise<{ number: string; answer: DebugProtocol.Breakpoint }> {
    const { at, logMessage, hardware } = wanted;
    if ('watched' in at) return this.insertWatch(at.watched, at.access);
    if (logMessage) return this.insertLogPoint(at, logMessage, wanted.condition);
    const command = `-break-insert -f ${hardware ? '-h ' : ''}${locate(at, '--')}`;
    const { bkpt } = await this.gdb.sendCommand<Inserted>(command);
    const [info, place] = Array.isArray(bkpt) ? bkpt : [bkpt];
    return { number: info!.number, answer: told(info!, place) };
  }

  private async insertWatch(watched: string, access: DebugProtocol.DataBreakpointAccessType) {
    const flag = { read: '-r ', write: '', readWrite: '-a ' }[access];
    const made = await this.gdb.sendCommand<Record<string, { number?: string } | undefined>>(
      `-break-watch ${flag}${quoted(watched)}`,
    );
    const number = Object.values(made).find((value) => value?.number !== undefined)!.number!;
    return { number, answer: { id: Number(number), verified: true } };
  }

  private async insertLogPoint(at: Place, message: string, condition: string | undefined) {
    // Its count of hits is gdb's, its condition is Python's: the two don't go together with a command of MI's.
    this.logPoints ??= this.gdb.sendCommand(DEFINE_LOG_POINTS);
    await this.logPoints.catch(() => {
      throw new Error('this gdb was built without Python, which log points need');
    });
    const said = await this.chatter.said(() =>
      this.gdb.sendCommand(logPointCommand(locate(at, '-'), message, condition)),
    );
    const { BreakpointTable } = await this.gdb.sendCommand<{ BreakpointTable: { body: MIBreakpointInfo[] } }>(
      '-break-list',
    );
    const number = said.trim();
    const index = BreakpointTable.body.findIndex((info) => info.number === number);
    return { number, answer: told(BreakpointTable.body[index]!, BreakpointTable.body[index + 1]) };
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

/** `5`, `=5`: at the fifth time; `>=5`: from then on; `>5`: after it. */
function hitsOf(hitCondition: string | undefined): { ignored: number; once: boolean } | undefined {
  if (!hitCondition?.trim()) return undefined;
  const parts = /^(>=|>|={0,2})\s*(\d{1,9})$/.exec(hitCondition.trim());
  if (!parts) throw new Error(`a hit count is like 5, >=5 or >5, not "${hitCondition}"`);
  const count = Number(parts[2]);
  if (parts[1] === '>') return { ignored: count, once: false };
  return { ignored: Math.max(0, count - 1), once: parts[1] !== '>=' };
}
