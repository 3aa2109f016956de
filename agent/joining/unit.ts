/** The service of systemd: its unit made of the template, and what a unit that is there says about itself. */
import { LONGEST_PAUSE_S } from '../machine/daemons/supervised';

export const UNIT = 'godwit-agent.service';
/** Where a person's and Godwit's own units are; those of packages are in the others. */
export const UNIT_FILE = `/etc/systemd/system/${UNIT}`;
export const PACKAGED_UNITS = [`/usr/lib/systemd/system/${UNIT}`, `/lib/systemd/system/${UNIT}`];

/** systemd knows of growing pauses from here on; an older one would warn of words that it does not know. */
const GROWING_SINCE = 254;
/** Doubled each time, as those of the supervisor. */
const STEPS = Math.log2(LONGEST_PAUSE_S);
export const PAUSES_FOLDER = `${UNIT_FILE}.d`;
export const PAUSES_FILE = `${PAUSES_FOLDER}/10-pauses.conf`;
const PAUSES = `# An agent that does not start is tried again more and more rarely.
[Service]
RestartSteps=${STEPS}
RestartMaxDelaySec=${LONGEST_PAUSE_S}
`;

/** What an agent is started with: Node.js, its program, its configuration. */
export type AgentCommand = readonly [node: string, agent: string, config: string];

export function unitOf(template: string, command: AgentCommand): string {
  const values: Record<string, string> = {
    CONDITION: specified(command[2]),
    COMMAND: command.map(word).join(' '),
  };
  return template.replace(/@([A-Z]+)@/g, (_, name: string) => values[name]!);
}

/** What goes beside the unit so that its pauses grow; null where systemd, by what `--version` prints, can't. */
export function pausesFor(version: string): string | null {
  const [, number] = /^systemd (\d+)/.exec(version) ?? [];
  return Number(number) >= GROWING_SINCE ? PAUSES : null;
}

/** The configuration of the node that a unit is for; null of one that Godwit did not write. */
export function configIn(unit: string): string | null {
  const [, path] = /^ConditionPathExists=(.+)$/m.exec(unit) ?? [];
  return path?.replaceAll('%%', '%') ?? null;
}

/** systemd.unit(5), Specifiers. */
const specified = (text: string) => text.replaceAll('%', '%%');
/** A word of a command line, whatever is in it: systemd.service(5), Command lines. */
const word = (text: string) =>
  /^[\w./@:+-]+$/.test(text)
    ? text
    : `"${specified(text).replace(/["\\]/g, '\\$&').replaceAll('$', '$$$$')}"`;
