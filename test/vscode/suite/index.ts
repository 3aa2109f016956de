/** What VS Code runs in its extension host: `extensionTestsPath`. */
import { extensionTests } from './extension.test';
import { runMocha } from './report';

export const run = (): Promise<void> =>
  runMocha(() => {
    extensionTests();
  });
