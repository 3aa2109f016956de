/** The configuration in force: what an agent reads again at a SIGHUP is read here, each time it is needed. */
import { isDeepStrictEqual } from 'node:util';
import { type AgentConfig, loadConfig, type Member, REREAD, type Reread } from '../../api/config';
import { GodwitError } from '../../api/errors';
import { SerialQueue } from '../../machine/serial-queue';

const NONE: readonly Member[] = [];

export class Settings {
  #read: AgentConfig;
  #now: Reread;
  readonly #reloads = new SerialQueue();

  constructor(
    private readonly options: {
      file: string;
      first: AgentConfig;
      /** Who is in the cluster, where the configuration does not say it. */
      elsewhere: { readonly members: readonly Member[] } | null;
      /** @throws GodwitError if the agent can't go on with this one */
      check: (members: readonly Member[]) => void;
      log: (line: string) => void;
    },
  ) {
    const members = this.#members(options.first);
    options.check(members);
    this.#read = options.first;
    this.#now = { ...options.first, members };
  }

  /** Asked for with each message: put together again only where the members are others. */
  get now(): Reread {
    const members = this.#members(this.#read);
    if (this.#now.members !== members) this.#now = { ...this.#read, members };
    return this.#now;
  }

  #members({ members }: AgentConfig): readonly Member[] {
    return members ?? this.options.elsewhere?.members ?? NONE;
  }

  /** One that can't be used leaves the old one in force. One call after the other. */
  reload(): Promise<void> {
    return this.#reloads.take(() => this.#reload());
  }

  async #reload(): Promise<void> {
    const { file, first, check, log } = this.options;
    try {
      const next = await loadConfig(file);
      if (next.name !== first.name) throw otherNode(next.name, first.name);
      check(this.#members(next));
      const waiting = restartKeys(first, next);
      if (waiting.length > 0) log(`${file}: ${waiting.join(', ')}: in force after a restart of the agent`);
      this.#read = { ...first, members: undefined, ...pickReread(next) };
      this.#now = { ...this.#read, members: this.#members(this.#read) };
      log(`${file}: read again`);
    } catch (error) {
      log(`the configuration stays as it was: ${(error as Error).message}`);
    }
  }
}

const otherNode = (theirs: string, ours: string) =>
  new GodwitError({
    code: 'other-node',
    message: `it is that of ${theirs}, and this agent is that of ${ours}`,
  });

const isReread = (key: string) => (REREAD as readonly string[]).includes(key);

/** What has changed that a running agent does not take up. */
const restartKeys = (first: AgentConfig, next: AgentConfig): string[] =>
  [...new Set([...Object.keys(first), ...Object.keys(next)])].filter(
    (key) =>
      !isReread(key) && !isDeepStrictEqual(first[key as keyof AgentConfig], next[key as keyof AgentConfig]),
  );

const pickReread = (config: AgentConfig) =>
  Object.fromEntries(REREAD.map((key) => [key, config[key]])) as unknown as Pick<
    AgentConfig,
    (typeof REREAD)[number]
  >;
