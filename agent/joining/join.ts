/** This machine becomes a node of a cluster that is there. */
import { rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { clusterFiles } from '../api/cluster-files';
import { readToken } from '../api/token';
import { nodeFilesIn, requestCertificate } from '../machine/certificates/authority';
import { keyOfCertificate } from '../wire/tls';
import { withAgent } from './asking';
import { enter } from './enter';
import { notConnected } from './errors';
import { asNewNode, startNode, writeRoster } from './init';
import type { NodePlan, NodeRequest } from './node-settings';
import type { Service } from './service';

export interface JoinedNode {
  name: string;
  address: string;
  socket: string;
}

/**
 * The agent answers and is a member, or nothing is left, here and there, and the token is good for another try.
 * @throws GodwitError `bad-token`, `joined-already`, `authority-kept`, those of `enter`, `did-not-start`, …
 */
export async function joinCluster(text: string, request: NodeRequest, service: Service): Promise<JoinedNode> {
  const token = readToken(text);
  return asNewNode(request, async (plan, undoing) => {
    const { name, address, port, state, socket } = plan;
    const files = clusterFiles(state);
    undoing.onFailure(() => rm(files.tls, { recursive: true, force: true }));
    const csr = await requestCertificate(files.tls, name);
    const entry = await enter(token, { name, address, port, request: csr });
    undoing.onFailure(() => entry.close());
    service.step(`the cluster ${keyOfCertificate(entry.authority)} takes this machine as ${name}`);
    const tls = nodeFilesIn(files.tls);
    await writeFile(tls.ca, entry.authority, { mode: 0o600 });
    await writeFile(tls.cert, entry.certificate, { mode: 0o600 });
    await writeRoster(state, entry.roster, undoing);
    await startNode(plan, service, undoing);
    await untilKnown(plan);
    await entry.done();
    return { name, address, socket };
  });
}

/** As slow as a machine may be that has just started an agent. */
const KNOWN_WITHIN_MS = 120_000;
const LOOK_EVERY_MS = 50;

/** Returns when this node and another one reach each other. @throws GodwitError `not-connected` */
async function untilKnown({ name, socket }: NodePlan): Promise<void> {
  await withAgent(socket, async (agent) => {
    const deadline = performance.now() + KNOWN_WITHIN_MS;
    for (;;) {
      const { nodes } = await agent.call('nodes.list', {});
      if (nodes.some((node) => node.name !== name && (node.state === 'up' || node.state === 'draining')))
        return;
      if (performance.now() > deadline) throw notConnected(name);
      await sleep(LOOK_EVERY_MS);
    }
  });
}
