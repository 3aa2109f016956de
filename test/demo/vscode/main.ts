/** `npm run demo`: what Godwit is for, in VS Code. With `--check` it goes through all of it by itself. */
import { present } from '../present';
import { Screen } from '../screen';
import { VscodeDemonstration } from './demonstration';

const screen = new Screen();

void present(process.argv.slice(2), {
  command: 'npm run demo',
  screen,
  make: (check) => new VscodeDemonstration(screen, check),
}).then((status) => {
  process.exitCode = status;
});
