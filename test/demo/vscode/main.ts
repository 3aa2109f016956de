/** `npm run demo`: what Godwit is for, in VS Code. With `--check` it goes through all of it by itself. */
import { THEMES, type Theme } from '../../vscode/harness/themes';
import { present } from '../present';
import { Screen } from '../screen';
import { VscodeDemonstration } from './demonstration';

const screen = new Screen();

void present(process.argv.slice(2), {
  command: 'npm run demo',
  screen,
  choices: { theme: Object.keys(THEMES) },
  make: ({ check, chosen }) => new VscodeDemonstration(screen, check, THEMES[chosen.theme as Theme]),
}).then((status) => {
  process.exitCode = status;
});
