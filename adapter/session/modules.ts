/** What is loaded, as the editor lists it. */
import { basename } from 'node:path';
import type { DebugProtocol } from '@vscode/debugprotocol';

export const moduleAt = (path: string, symbols: boolean): DebugProtocol.Module => ({
  id: path,
  name: basename(path),
  path,
  symbolStatus: symbols ? 'Symbols loaded' : 'No symbols',
});
