/** Which nodes may connect: those under "members", each by the key that is pinned for it. */

import type { AgentConfig, Member } from '../../api/config';
import { GodwitError } from '../../api/errors';
import { notAMember, wrongKey } from '../../wire/errors';
import type { Certified } from '../../wire/tls';

/** Why the holder of this certificate is turned away, by the node `own`; null for a member. */
export function refusal(members: readonly Member[], own: string, who: Certified): GodwitError | null {
  const member = members.find(({ name }) => name === who.name);
  // A node calls itself without a connection: one that connects under its name is another.
  if (!member || who.name === own) return notAMember(who.name);
  return member.key === undefined || member.key === who.key ? null : wrongKey(who, member.key);
}

/** Is the agent's certificate the one by which the others know it? @throws GodwitError `wrong-certificate` */
export function checkOwnCertificate(
  { name, tls }: Pick<AgentConfig, 'name' | 'tls'>,
  members: readonly Member[],
  own: Certified | null,
): void {
  const pinned = members.find((member) => member.name === name)?.key;
  if (own?.name === name && (pinned === undefined || pinned === own.key)) return;
  throw new GodwitError({
    code: 'wrong-certificate',
    message:
      own?.name === name
        ? `the certificate ${tls.cert} has the key ${own.key}, and ${pinned} is pinned for ${name}`
        : `the certificate ${tls.cert} is for ${own?.name ?? 'no node'}, and this node is ${name}`,
    fix: 'correct "tls", or the key under "members", in the configuration',
  });
}

/** The same refusal is logged again after this time, so that repeated attempts can't fill the log. */
const TOLD_MS = 60_000;
/** Different ones that are remembered as logged. */
const MOST_TOLD = 1_000;

/** Logs what was refused, the same not twice in a minute. */
export class Refusals {
  readonly #told = new Map<string, number>();

  constructor(private readonly log: (line: string) => void) {}

  report(line: string): void {
    const now = performance.now();
    if (now - (this.#told.get(line) ?? Number.NEGATIVE_INFINITY) < TOLD_MS) return;
    if (this.#told.size >= MOST_TOLD) this.#told.clear();
    this.#told.set(line, now);
    this.log(line);
  }
}
