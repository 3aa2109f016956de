import { join } from 'node:path';
import { DebugAdapterExecutable } from 'vscode';

/** The adapter is a process of its own for each session: what becomes of one touches no other, nor the editor. */
export function adapterIn(extension: string): DebugAdapterExecutable {
  const program = join(extension, 'dist', 'adapter.cjs');
  return new DebugAdapterExecutable(process.execPath, [program], { env: { ELECTRON_RUN_AS_NODE: '1' } });
}
