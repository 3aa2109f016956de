/** What can go wrong with a lab. */
import { GodwitError } from '../api/errors';

export const notRoot = () =>
  new GodwitError({
    code: 'not-root',
    message: 'a lab makes network namespaces and cgroups, which only root may',
    fix: 'run the same with sudo',
  });

export const badLab = (why: string) =>
  new GodwitError({ code: 'bad-lab', message: `there can be no such lab: ${why}` });

export const labUpAlready = (name: string, difference: string) =>
  new GodwitError({
    code: 'lab-up',
    message: `lab "${name}" is up already, ${difference}`,
    fix: 'use it as it is, or take it down with `godwit lab down`',
  });

export const labBroken = (name: string, why: string) =>
  new GodwitError({
    code: 'lab-broken',
    message: `lab "${name}" is up and can't be repaired: ${why}`,
    fix: '`godwit lab down` ends what is left of it',
  });

export const labBusy = (name: string) =>
  new GodwitError({
    code: 'lab-busy',
    message: `lab "${name}" is being brought up or taken down by another process`,
    fix: 'try again when that is done',
  });

export const noSuchLab = (name: string) =>
  new GodwitError({
    code: 'no-such-lab',
    message: `no lab "${name}" is up`,
    fix: 'start it with `godwit lab up`',
  });

export const nodeDidNotStart = (node: string, why: string) =>
  new GodwitError({ code: 'node-did-not-start', message: `the agent of ${node} did not start: ${why}` });

export const noCpuQuota = () =>
  new GodwitError({
    code: 'no-cpu-quota',
    message:
      'nodes of different speed need the cpu controller of cgroups, and neither version offers it here',
    fix: 'leave out --cpus',
  });

export const noProgram = (path: string) =>
  new GodwitError({
    code: 'no-program',
    message: `${path} is not there`,
    fix: 'build it with `npm run build`',
  });
