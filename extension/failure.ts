/** What a person sees when something fails: the reason and, where there is one, the fix as a button. */
import { commands } from 'vscode';
import { asGodwitError, type Failure, GodwitError } from '../agent/api/errors';
import { type Log, tell } from './window';

interface Remedy {
  title: string;
  command: string;
  args?: unknown[];
}

const START: Remedy = { title: 'Start Local Cluster', command: 'godwit.startLocalCluster' };
const CHECK: Remedy = { title: 'Check This Machine', command: 'godwit.doctor' };
const CHOOSE_AGENT: Remedy = {
  title: 'Choose Another Agent',
  command: 'workbench.action.openSettings',
  args: ['godwit.agent'],
};

/** By the code of the error. */
const REMEDIES: Readonly<Record<string, Remedy>> = {
  'no-agent': START,
  'agent-lost': START,
  'bad-lab': CHOOSE_AGENT,
  'no-job': { title: 'Launch Job…', command: 'godwit.launchJob' },
  'no-such-lab': START,
  'lab-failed': CHECK,
  'no-program': CHECK,
  'command-failed': CHECK,
  'job-lost': { title: 'Show Migration Timeline', command: 'godwit.showMigrationTimeline' },
  'job-ended': { title: 'Show Migration Timeline', command: 'godwit.showMigrationTimeline' },
};

/** `No agent answers at …: …; start a lab with …` becomes a sentence. */
export const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

/** Tells it, and does what the person chooses. Resolves when the message is gone. */
export async function showFailure(error: unknown, what: string, log: Log): Promise<void> {
  const failure = asGodwitError(error);
  // The person who cancelled it knows.
  if (failure.code === 'cancelled') return;
  log.error(`${what}: ${failure.toLine()}`);
  if (failure.code === 'internal') log.trace(failure);
  const remedy = failure instanceof RemediedError ? failure.remedy : REMEDIES[failure.code];
  // A fix that has a button needs no words.
  const told = sentence(remedy ? failure.message : failure.toLine());
  const chosen = await tell('error', told, ...(remedy ? [remedy.title] : []));
  if (!remedy || chosen === undefined) return;
  try {
    if ('run' in remedy) await remedy.run();
    else await commands.executeCommand(remedy.command, ...(remedy.args ?? []));
  } catch (again) {
    await showFailure(again, remedy.title, log);
  }
}

/** An error that brings its own fix. */
export class RemediedError extends GodwitError {
  constructor(
    failure: Failure,
    readonly remedy: { title: string; run: () => Promise<void> | void },
  ) {
    super(failure);
  }
}
