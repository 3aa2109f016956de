/** The verbs of the command: each is loaded under its own name. */
import { expect, it } from 'vitest';
import { makeProgram } from '../../agent/command/command';

const names = async (verb?: string) => (await makeProgram(verb)).commands.map((command) => command.name());
const verbs = await names();

it.each(verbs)('%s is loaded alone', async (verb) => {
  expect(await names(verb)).toEqual([verb]);
});

it.each([undefined, '--json', 'nothing', 'toString'])('%s loads all of them', async (word) => {
  expect(await names(word)).toEqual(verbs);
});
