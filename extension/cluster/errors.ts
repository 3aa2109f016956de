/** An agent that is not there, in the words of the editor, whose buttons do what the command's advice says. */
import { GodwitError } from '../../agent/api/errors';

export const noCluster = (socket: string) =>
  new GodwitError({
    code: 'no-agent',
    message: `no cluster is running here: there is no agent at ${socket}`,
    fix: 'start a local cluster',
  });

/** By the permissions of its socket: whether it is well can't be known from here. */
export const notAdmitted = (socket: string) =>
  new GodwitError({
    code: 'not-admitted',
    message: `you are not admitted to this cluster, by the agent at ${socket}`,
    fix: 'have its administrator add you to the group godwit, or to "users" in the agent’s configuration',
  });

export const clusterLost = (socket: string) =>
  new GodwitError({
    code: 'agent-lost',
    message: `the agent at ${socket} does not answer any more`,
    fix: 'jobs run on without it, and it is shown again as soon as it is back',
  });
