/** What can go wrong with another machine that is reached by ssh. */
import { GodwitError } from '../../api/errors';

export const noConnection = (host: string) =>
  new GodwitError({
    code: 'no-ssh',
    message: `ssh does not come to ${host}; what it said is above`,
    fix: `try \`ssh ${host} true\`; options for ssh go behind --`,
  });

export const connectionLost = (host: string, what: string) =>
  new GodwitError({
    code: 'ssh-lost',
    message: `the connection to ${host} was lost while this was under way there: ${what}`,
    fix: 'do the same again: it takes away first what was left there',
  });

export const remoteFailed = (host: string, what: string, why: string) =>
  new GodwitError({
    code: 'remote-failed',
    message: `${host}: ${what}: ${why || 'it failed without a word'}`,
  });

export const otherKind = (host: string, theirs: string, ours: string) =>
  new GodwitError({
    code: 'other-machine',
    message: `${host} is ${theirs}, and what is installed here is for ${ours}`,
    fix: 'install Godwit there by hand, then join with `godwit cluster token` and `godwit cluster join`',
  });

export const noRights = (host: string) =>
  new GodwitError({
    code: 'no-rights',
    message: `the user at ${host} is not root, and \`sudo -n\` asks for a password or is not there`,
    fix: `use root@HOST, or allow that user sudo without a password`,
  });

export const nodeAlready = (host: string) =>
  new GodwitError({
    code: 'joined-already',
    message: `${host} is a node already`,
    fix: 'see `godwit cluster status` there; `godwit cluster leave` takes it out of its cluster',
  });

export const unfit = (host: string, failed: { check: string; found: string; fix: string | null }[]) =>
  new GodwitError({
    code: 'checks-failed',
    message: `${host} can be no node: ${failed.map(({ check, found }) => `${check}: ${found}`).join('; ')}`,
    fix: failed.find(({ fix }) => fix)?.fix ?? undefined,
  });

export const otherNode = (host: string, is: string, asked: string) =>
  new GodwitError({
    code: 'other-node',
    message: `${host} is ${is}, not ${asked}`,
    fix: `say where ${asked} is with --host`,
  });
