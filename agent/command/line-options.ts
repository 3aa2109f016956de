/** The options of the verbs that make a line. */
import { type Command, InvalidArgumentError } from 'commander';

export interface LineOptions {
  pid?: number;
  verbose?: true;
}

export const addPidOption = (command: Command): Command =>
  command.option('-p, --pid <pid>', "which of the job's processes, by its pid inside the job", pid);

export const addVerboseOption = (command: Command): Command =>
  command.option('--verbose', 'report moves and cuts on stderr');

function pid(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It must be a process id.');
  return Number(text);
}
