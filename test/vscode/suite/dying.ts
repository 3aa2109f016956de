/** A suite whose extension host does not live to its end. */
import { runMocha } from './report';

export const run = (): Promise<void> =>
  runMocha(() => {
    it('passes', () => {});
    it('ends the extension host', () => {
      if (process.env.GODWIT_SUITE_DEATH === 'exit') process.exit(0);
      process.kill(process.pid, 'SIGKILL');
    });
  });
