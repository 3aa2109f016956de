/** The `godwit` command. */
import { runCommand } from './command';
import { endQuietlyOnBrokenPipe } from './output';

endQuietlyOnBrokenPipe();
// Ended at once: a connection that is still closing needs no waiting for.
void runCommand(process.argv.slice(2)).then((status) => process.exit(status));
