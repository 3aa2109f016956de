/** What can go wrong with a node's service. */
import { GodwitError } from '../api/errors';

export const notRoot = () =>
  new GodwitError({
    code: 'not-root',
    message: 'an agent runs as root, and so must who starts or stops it',
    fix: 'run the same with sudo',
  });

export const serviceTaken = (unit: string, config: string | null) =>
  new GodwitError({
    code: 'service-taken',
    message: config
      ? `this machine's service is for another node: ${unit} has the configuration ${config}`
      : `${unit} is there, and not Godwit's`,
    fix: 'add --no-service, and this agent is started by itself; or take the other away first',
  });

export const serviceFailed = (command: string, why: string) =>
  new GodwitError({
    code: 'service-failed',
    message: `\`${command}\` failed: ${why}`,
    fix: '`journalctl -u godwit-agent` may say more; with --no-service the agent is started without systemd',
  });

export const noTemplate = (path: string, why: string) =>
  new GodwitError({
    code: 'no-service-file',
    message: `the service's template ${path} can't be read: ${why}`,
    fix: 'install Godwit anew',
  });

export const agentRunsAlready = (config: string) =>
  new GodwitError({
    code: 'agent-runs',
    message: `an agent with the configuration ${config} runs already, started by a person`,
    fix: 'end it first',
  });

export const nodeHasJobs = (node: string) =>
  new GodwitError({
    code: 'node-has-jobs',
    message: `jobs run on ${node}: without its keeper they would be alone`,
    fix: 'move them away or end them first; `godwit ps` has them',
  });

export const didNotStart = (node: string, why: string) =>
  new GodwitError({
    code: 'did-not-start',
    message: `the agent of ${node} does not start: ${why || 'it ended without a message'}`,
    fix: 'mend that: it is tried again, until `godwit agent --stop`',
  });
