/** What a program inherits from its parent: a job gets it from the process that asks for it. */
import { readFileSync } from 'node:fs';
import type { LaunchRequest } from '../api/model';
import { parseLimits } from '../api/resources';

/** This process's mask and limits, as they were before Node.js raised that of open files for itself. */
export function inheritance(): Pick<LaunchRequest, 'umask' | 'resources'> {
  const umask = process.umask();
  try {
    const resources = parseLimits(readFileSync('/proc/self/limits', 'utf8'));
    const { nofile } = parseLimits(readFileSync(`/proc/${process.ppid}/limits`, 'utf8'));
    if (nofile && resources.nofile) resources.nofile = { ...resources.nofile, soft: nofile.soft };
    return { umask, resources };
  } catch {
    // Not a Linux: then the agent's own limits have to do.
    return { umask };
  }
}
