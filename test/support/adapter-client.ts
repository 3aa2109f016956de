/** The debug adapter as it is built, and a client that speaks to it. */
import { onTestFailed } from 'vitest';
import { DebugClient } from './dap';
import { inProject } from './project';

/** Of its last events, as many are shown where the test fails. */
const EVENTS_SHOWN = 20;

/** @param args of the adapter itself */
export function adapterClient(env: Record<string, string>, args: readonly string[] = []): DebugClient {
  const client = new DebugClient([process.execPath, inProject('dist', 'adapter.cjs'), ...args], env);
  onTestFailed(() =>
    console.error(
      client.events
        .slice(-EVENTS_SHOWN)
        .map((event) => JSON.stringify(event))
        .join('\n'),
      client.stderr,
    ),
  );
  return client;
}
