/** Another machine becomes a node of the cluster, by the person's own ssh: in a terminal, where it may ask them. */
import { GodwitError } from '../../agent/api/errors';
import { commandLine } from '../../agent/api/figures';
import type { Cluster } from '../cluster/cluster';
import type { GodwitCommand } from '../command/godwit';
import { askForText } from '../prompts/steps';
import { openTerminal } from '../window';

const TITLE = 'Add Node';
/** As ssh(1) has a destination: of a name, an address or an alias, and no option. */
const DESTINATION = /^(?!-)[^\s'"`$\\]{1,255}$/;

/** @param given for other extensions: the machine, which is not asked for then @throws GodwitError `bad-host` */
export async function addNode(command: GodwitCommand, cluster: Cluster, given?: unknown): Promise<void> {
  const host = given ?? (await askForText(QUESTION));
  if (host === undefined || typeof host === 'symbol') return;
  const problem = typeof host === 'string' ? wrong(host) : 'it is no text';
  if (problem) throw new GodwitError({ code: 'bad-host', message: `this is no machine's name: ${problem}` });
  const terminal = openTerminal(`Godwit: ${TITLE}`);
  terminal.show();
  terminal.sendText(commandLine(command.argv(['--agent', cluster.socket, 'cluster', 'add', host as string])));
}

const wrong = (text: string): string | undefined =>
  DESTINATION.test(text.trim()) ? undefined : 'write it like node2, ann@node2 or 10.0.0.2';

const QUESTION = {
  title: TITLE,
  prompt: 'The machine, as `ssh` has it. It gets what a node needs, and loses it where that fails.',
  placeholder: '[USER@]HOST',
  value: '',
  wrong,
};
