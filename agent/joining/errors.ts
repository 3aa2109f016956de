/** What can go wrong when a machine joins a cluster, or leaves one. */
import { GodwitError } from '../api/errors';

export const joinedAlready = (file: string) =>
  new GodwitError({
    code: 'joined-already',
    message: `this machine is a node already, by ${file}`,
    fix: 'see `godwit cluster status`; `godwit cluster leave` takes it out of its cluster',
  });

export const authorityKept = (folder: string) =>
  new GodwitError({
    code: 'authority-kept',
    message: `${folder} has the key of a cluster's authority, which this would take away`,
    fix: 'put back the configuration of its node; or move that folder elsewhere, or remove it if that cluster is gone for good',
  });

export const noAddress = () =>
  new GodwitError({
    code: 'no-address',
    message: 'this machine has no address at which another could reach it',
    fix: 'connect it to a network, or say which it is to be with --listen ADDRESS',
  });

export const notAnAddress = (text: string) =>
  new GodwitError({
    code: 'not-an-address',
    message: `"${text}" is no address, or its port is none`,
    fix: 'write it like 10.0.0.1, 10.0.0.1:7420 or [fd00::1]:7420',
  });

export const notANodeName = (name: string) =>
  new GodwitError({
    code: 'not-a-node-name',
    message: `"${name}" can't be a node's name`,
    fix: 'give it one of a-z, 0-9 and - with --name',
  });

export const otherCluster = (place: string, why: string) =>
  new GodwitError({
    code: 'other-cluster',
    message: `what answers at ${place} is not what the token is for: ${why}; the token was not shown to it`,
    fix: 'get a token where the cluster was made, or see what else is at that address',
  });

export const noneReached = (tries: string[]) =>
  new GodwitError({
    code: 'cluster-unreachable',
    message: `none of the cluster's addresses can be reached: ${tries.join('; ')}`,
    fix: 'is the agent there up, the token not expired, and the port open between the two machines?',
  });

export const noneAnnounced = () =>
  new GodwitError({
    code: 'none-announced',
    message: 'no cluster announces on this network that machines can join',
    fix: 'paste the whole line that `godwit cluster token` has printed, which says where; is the token expired?',
  });

export const notConnected = (name: string) =>
  new GodwitError({
    code: 'not-connected',
    message: `the agent of ${name} is up, and reaches none of the other nodes`,
    fix: 'open the ports of both machines to each other, then join again with the same token',
  });
