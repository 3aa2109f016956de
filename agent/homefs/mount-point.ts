import { rmdir } from 'node:fs/promises';
import { isNodeError } from '../api/errors';

/**
 * Removes a folder on which something was mounted; one that isn't there is no error. Never recursively: while anything
 * is still mounted on it, a machine's own files lie below.
 */
export async function removeMountPoint(at: string): Promise<void> {
  await rmdir(at).catch((error: unknown) => {
    if (!isNodeError(error) || error.code !== 'ENOENT') throw error;
  });
}
