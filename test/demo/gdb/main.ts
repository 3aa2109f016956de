/** `npm run demo:gdb`: what Godwit is for, in a terminal. */
import { present } from '../present';
import { Screen } from '../screen';
import { GdbDemonstration } from './demonstration';

const NEXT = `
Try it yourself:

  gcc -g -O0 -pthread -o /tmp/heat examples/heat.c -lm
  node dist/godwit.cjs lab up
  node dist/godwit.cjs run --on node1 --detach --stopped --name heat -- /tmp/heat
  node dist/godwit.cjs gdb heat                 and in another terminal:
  node dist/godwit.cjs migrate heat node2
  node dist/godwit.cjs lab down`;

const screen = new Screen();

void present(process.argv.slice(2), {
  command: 'npm run demo:gdb',
  screen,
  make: () => new GdbDemonstration(screen),
  next: NEXT,
}).then((status) => {
  process.exitCode = status;
});
