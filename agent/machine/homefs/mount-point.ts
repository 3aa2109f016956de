import { rmdir } from 'node:fs/promises';
import { isNodeError } from '../../api/errors';
import { removeMounted } from './removal';

/**
 * Removes a folder on which something was mounted; one that isn't there is no error. Never recursively: while anything
 * is still mounted on it, a machine's own files lie below.
 */
export async function removeMountPoint(at: string): Promise<void> {
  try {
    await rmdir(at);
  } catch (error) {
    const code = isNodeError(error) ? error.code : undefined;
    if (code === 'ENOENT') return;
    if (code !== 'EBUSY') throw error;
    // Another process has mounted something there, or has copied the mount.
    await removeMounted('name', [at]);
  }
}
