/** What can go wrong with who is in a cluster. */
import { GodwitError } from '../../api/errors';

const NEW_TOKEN = 'get another one with `godwit cluster token`';

export const noSuchToken = () =>
  new GodwitError({
    code: 'no-such-token',
    message: 'this cluster has not given out this token, or long ago',
    fix: NEW_TOKEN,
  });

export const tokenExpired = (expires: string) =>
  new GodwitError({ code: 'token-expired', message: `the token was good until ${expires}`, fix: NEW_TOKEN });

export const tokenUsed = (name: string) =>
  new GodwitError({
    code: 'token-used',
    message: `with this token ${name} has joined, and each is good for one machine`,
    fix: NEW_TOKEN,
  });

export const tokenInUse = (name: string) =>
  new GodwitError({
    code: 'token-in-use',
    message: `with this token ${name} is joining just now`,
    fix: 'wait for it to be done, or get another one with `godwit cluster token`',
  });

export const tooManyTokens = (most: number) =>
  new GodwitError({
    code: 'too-many-tokens',
    message: `${most} tokens are out, and more may not be`,
    fix: 'use them, or wait until some have expired',
  });

export const wrongProof = () =>
  new GodwitError({
    code: 'wrong-proof',
    message: 'the other side does not know the token, or the connection is not a direct one',
    fix: 'paste the whole token, and connect without anything in between that ends TLS',
  });

export const nameTaken = (name: string) =>
  new GodwitError({
    code: 'name-taken',
    message: `the cluster has a node with the name ${name}`,
    fix: `choose another with --name; or, if that one is gone, run \`godwit cluster remove ${name}\` there first`,
  });

export const placeTaken = (place: string, name: string) =>
  new GodwitError({
    code: 'place-taken',
    message: `${name} is at ${place} already`,
    fix: 'choose another address or port with --listen',
  });

export const noAuthorityHere = (node: string, at: string | null) =>
  new GodwitError({
    code: 'no-authority-here',
    message: at
      ? `the authority of this cluster is on ${at}, and this is ${node}`
      : `${node} has no authority's key, and knows of no node that has`,
    fix: at ? `run the same on ${at}` : 'its members are those in its configuration: change them there',
  });

export const notJoined = (node: string) =>
  new GodwitError({
    code: 'not-joined',
    message: `${node} has its members from its configuration, not from joining`,
    fix: 'change `members` in the configuration of each node',
  });

export const authorityStays = (node: string, others: string[]) =>
  new GodwitError({
    code: 'authority-stays',
    message: `${node} has the authority's key, and ${others.join(', ')} could not renew their certificates without it`,
    fix: 'let all others leave first',
  });

export const hasJobs = (node: string, jobs: string[]) =>
  new GodwitError({
    code: 'has-jobs',
    message: `${node} has jobs: ${jobs.join(', ')}`,
    fix: 'end them, or move those that are only guests there home with `godwit migrate JOB home`',
  });

export const wrongRequest = (why: string) =>
  new GodwitError({ code: 'wrong-request', message: `no certificate can be made of this request: ${why}` });
