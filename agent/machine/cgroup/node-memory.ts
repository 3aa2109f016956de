/** How much memory a node has for its jobs: what the machine has, or as much of it as they may use together. */
import { mkdir } from 'node:fs/promises';
import { freemem, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { isNodeError } from '../../api/errors';
import { size } from '../../api/figures';
import {
  type Controller,
  countBelow,
  FOLDER,
  findControllers,
  handOn,
  type Limited,
  memoryOf,
  unavailable,
  writeMemory,
} from './limits';

/** Bytes. */
interface Memory {
  memTotal: number;
  memFree: number;
}

export class NodeMemory {
  private constructor(
    /** What its jobs may use together, where that is not all; and the group that all of theirs are in. */
    private readonly limit: { bytes: number; group: Limited } | null,
  ) {}

  /**
   * From here on the limit holds, also for the jobs that are there; if they hold more already, they run on, and it holds
   * when the agent is started anew.
   * @param node its folder's name in the hierarchies of cgroups
   * @param bytes all of the machine's where it is absent
   * @throws GodwitError `limit-unavailable`
   */
  static async open(
    node: string,
    bytes: number | undefined,
    log: (text: string) => void,
  ): Promise<NodeMemory> {
    const controller = (await findControllers()).find(({ name }) => name === 'memory');
    if (bytes === undefined) {
      // It may have had one before it was started anew.
      if (controller) await writeMemory(groupOf(controller, node), null).catch(unlessAbsent);
      return new NodeMemory(null);
    }
    if (!controller) throw unavailable('memory', node);
    const group = groupOf(controller, node);
    await make(group, controller.at);
    const { unreclaimable } = await memoryOf(group);
    // Of version 2 the kernel would end some of them.
    if (unreclaimable <= bytes) await writeMemory(group, bytes);
    else
      log(
        `the jobs here hold ${size(unreclaimable)}, more than "memory" (${size(bytes)}): it is not enforced`,
      );
    return new NodeMemory({ bytes, group });
  }

  async look(): Promise<Memory> {
    const most = this.limit?.bytes ?? Number.POSITIVE_INFINITY;
    const room = (await this.room()) ?? Number.POSITIVE_INFINITY;
    return { memTotal: Math.min(most, totalmem()), memFree: Math.min(room, freemem()) };
  }

  /** Bytes that are left of the limit; null where there is none. */
  async room(): Promise<number | null> {
    if (!this.limit) return null;
    const { bytes, group } = this.limit;
    return Math.max(0, bytes - (await memoryOf(group)).unreclaimable);
  }

  /** In words, where there is a limit. */
  get words(): string | null {
    return this.limit && `the ${size(this.limit.bytes)} that this node's jobs may use together`;
  }
}

const unlessAbsent = (error: unknown): void => {
  if (!isNodeError(error) || error.code !== 'ENOENT') throw error;
};

const groupOf = ({ version, at }: Controller, node: string): Limited => ({
  version,
  folder: join(at, FOLDER, node),
});

async function make({ version, folder }: Limited, at: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  if (version === 1) await countBelow(folder);
  else await handOn('memory', at, dirname(folder));
}
