import { createServer } from 'node:net';
import { labBusy } from './errors';

/**
 * Holds a lab while its parts are made or removed. The lock is a socket in the abstract namespace (unix(7)): no file,
 * and it ends with the process that holds it.
 * @throws GodwitError `lab-busy`
 */
export async function withLock<T>(lab: string, action: () => Promise<T>): Promise<T> {
  const lock = createServer();
  await new Promise<void>((resolve, reject) => {
    lock.once('error', () => reject(labBusy(lab)));
    lock.listen(`\0godwit-lab-${lab}`, resolve);
  });
  try {
    return await action();
  } finally {
    await new Promise((resolve) => lock.close(resolve));
  }
}
