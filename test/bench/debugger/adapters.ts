/** Debug adapters as an editor drives them: Godwit's, and cdt-gdb-adapter with gdbserver. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { DebugClient } from '../../support/dap';
import { inProject } from '../../support/project';

const LONG_MS = 300_000;

export interface Begin {
  program: string;
  source: string;
  args: string[];
  /** Lines of the source with breakpoints. */
  lines: number[];
}

export interface Kind {
  argv: string[];
  env: Record<string, string>;
  launch: object;
}

export const godwits = (socket: string): Kind => ({
  argv: [process.execPath, inProject('dist', 'adapter.cjs')],
  env: { GODWIT_AGENT: socket },
  launch: { node: 'node1' },
});

/** It starts a gdbserver of its own. */
export const CDT: Kind = {
  argv: [process.execPath, inProject('node_modules', 'cdt-gdb-adapter', 'dist', 'debugTargetAdapter.js')],
  env: {},
  launch: {},
};

/** A session that stands where it was told to; and how many milliseconds that took, from `launch` on. */
export async function begun(
  kind: Kind,
  { program, source, args, lines }: Begin,
): Promise<{ client: DebugClient; took: number }> {
  const client = new DebugClient(kind.argv, kind.env);
  await client.initialize();
  const from = performance.now();
  const target =
    kind === CDT ? { target: { serverParameters: ['--once', ':0', program, ...args] } } : { args };
  const launched = client.start('launch', { program, ...kind.launch, ...target }, LONG_MS);
  await Promise.race([client.event('initialized', LONG_MS), launched]);
  await client.setBreakpoints(
    source,
    lines.map((line) => ({ line })),
  );
  await client.request('configurationDone');
  await launched;
  await client.stopped(LONG_MS);
  return { client, took: performance.now() - from };
}

/** A `next`, and what an editor then asks for until all its views are there. */
export const steps =
  (client: DebugClient, threadId = 1) =>
  async (count: number): Promise<number[]> => {
    const times = [];
    for (let nth = 0; nth < count; nth++) {
      const from = performance.now();
      await client.request('next', { threadId }, LONG_MS);
      await client.stopped(LONG_MS);
      await refresh(client, threadId);
      times.push(performance.now() - from);
    }
    return times;
  };

async function refresh(client: DebugClient, threadId: number): Promise<void> {
  await client.request('threads', {}, LONG_MS);
  const top = { threadId, startFrame: 0, levels: 20 };
  const { stackFrames } = await client.request<DebugProtocol.StackTraceResponse['body']>(
    'stackTrace',
    top,
    LONG_MS,
  );
  const { scopes } = await client.request<DebugProtocol.ScopesResponse['body']>('scopes', {
    frameId: stackFrames[0]!.id,
  });
  const locals = scopes.find(({ name }) => name === 'Local' || name === 'Locals') ?? scopes[0]!;
  await client.variables(locals.variablesReference);
}

export const asks =
  (client: DebugClient, command: string, args: object = {}) =>
  async (count: number): Promise<number[]> => {
    const times = [];
    for (let nth = 0; nth < count; nth++) {
      const from = performance.now();
      await client.request(command, args, LONG_MS);
      times.push(performance.now() - from);
    }
    return times;
  };
