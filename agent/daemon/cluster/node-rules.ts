/** What people have decided of this node, in a file of its state: it holds until they decide otherwise. */
import { readFile } from 'node:fs/promises';
import { isNodeError } from '../../api/errors';
import { type NodeRules, type RuleChange, NodeRules as Stored } from '../../api/node-rules';
import { parseJson, parseWith } from '../../api/schema';
import { SerialQueue } from '../../machine/serial-queue';
import { writeWhole } from '../../machine/whole-file';

const MODE = 0o600;

export class Rules {
  readonly #writing = new SerialQueue();

  private constructor(
    private readonly file: string,
    private rules: NodeRules,
  ) {}

  /** @throws GodwitError `bad-message`; an error of the file system */
  static async open(file: string): Promise<Rules> {
    const text = await readFile(file, 'utf8').catch((error) => {
      if (isNodeError(error) && error.code === 'ENOENT') return '{}';
      throw error;
    });
    const what = `the rules ${file}`;
    return new Rules(file, parseWith(Stored, parseJson(what, text), what));
  }

  get now(): NodeRules {
    return this.rules;
  }

  /** It holds when this resolves, and after the next start. */
  set(change: RuleChange): Promise<NodeRules> {
    return this.#writing.take(() => this.#set(change));
  }

  async #set({ balancing, draining, speed }: RuleChange): Promise<NodeRules> {
    const before = this.rules;
    const next = {
      balancing: balancing ?? before.balancing,
      draining: draining ?? before.draining,
      // Null is a decision too.
      speed: speed === undefined ? before.speed : speed,
    };
    await writeWhole(this.file, `${JSON.stringify(next)}\n`, MODE);
    this.rules = next;
    return next;
  }
}
