/** This machine becomes the first node of a cluster: it gets an authority, and a certificate by it. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { clusterFiles } from '../api/cluster-files';
import { type RosterEntry, type StoredRoster, signEntry } from '../api/roster';
import {
  CERTIFICATE_DAYS,
  issueCertificate,
  makeAuthority,
  nodeFilesIn,
} from '../machine/certificates/authority';
import { keyOfCertificate } from '../wire/tls';
import {
  type NodePlan,
  type NodeRequest,
  planNode,
  restoreConfig,
  stateFolder,
  writeConfig,
} from './node-settings';
import { clearUnfinished, markFinished, markUnfinished } from './removal';
import type { Service } from './service';
import { allOrNothing, type Undoing } from './undoing';

export interface FoundedNode {
  name: string;
  address: string;
  socket: string;
  /** Of the authority. */
  fingerprint: string;
}

/**
 * All is made, and the agent answers, or nothing is left.
 * @throws GodwitError `joined-already`, `authority-kept`, `no-address`, `command-failed`, `did-not-start`, …
 */
export async function initCluster(request: NodeRequest, service: Service): Promise<FoundedNode> {
  return asNewNode(request, async (plan, undoing) => {
    const fingerprint = await makeFirstMember(plan, undoing, service.step);
    await startNode(plan, service, undoing);
    const { name, address, socket } = plan;
    return { name, address, socket, fingerprint };
  });
}

/** Work that makes a node of this machine, or leaves nothing, also where it is broken off and begun again. */
export async function asNewNode<T>(
  request: NodeRequest,
  work: (plan: NodePlan, undoing: Undoing) => Promise<T>,
): Promise<T> {
  await clearUnfinished(stateFolder(request));
  const plan = await planNode(request);
  const { state } = plan;
  return allOrNothing(async (undoing) => {
    // Users of jobs reach their files through it; what is secret in it is closed itself.
    const made = await mkdir(state, { recursive: true, mode: 0o755 });
    if (made) undoing.onFailure(() => rm(made, { recursive: true, force: true }));
    undoing.onFailure(() => markFinished(state));
    await markUnfinished(plan);
    const done = await work(plan, undoing);
    await markFinished(state);
    return done;
  });
}

async function makeFirstMember(plan: NodePlan, undoing: Undoing, step: Service['step']): Promise<string> {
  const { name, address, port, state } = plan;
  const files = clusterFiles(state);
  undoing.onFailure(() => rm(files.authority, { recursive: true, force: true }));
  const authority = await makeAuthority(files.authority, name);
  undoing.onFailure(() => rm(files.tls, { recursive: true, force: true }));
  const { cert } = await issueCertificate(authority, files.tls, name, CERTIFICATE_DAYS);
  const ca = await readFile(authority.cert);
  await writeFile(nodeFilesIn(files.tls).ca, ca, { mode: 0o600 });
  const key = keyOfCertificate(await readFile(cert));
  const own = { seq: 1, name, address, port, key, isAuthority: true, removed: false };
  await writeRoster(state, [signEntry(own, await readFile(authority.key, 'utf8'))], undoing);
  step(`made the cluster's authority in ${files.authority}: its key lets machines join, so keep it secret`);
  return keyOfCertificate(ca);
}

export async function writeRoster(state: string, entries: RosterEntry[], undoing: Undoing): Promise<void> {
  const { roster } = clusterFiles(state);
  undoing.onFailure(() => rm(dirname(roster), { recursive: true, force: true }));
  await mkdir(dirname(roster), { recursive: true, mode: 0o700 });
  const complete = Math.max(...entries.map(({ seq }) => seq));
  const stored: StoredRoster = { entries, complete };
  await writeFile(roster, JSON.stringify(stored), { mode: 0o600 });
}

/** Writes its configuration, starts its agent, and waits for it to answer. */
export async function startNode(plan: NodePlan, service: Service, undoing: Undoing) {
  const { file, name, socket } = plan;
  await mkdir(dirname(socket), { recursive: true, mode: 0o755 });
  await mkdir(dirname(file), { recursive: true, mode: 0o755 });
  undoing.onFailure(() => restoreConfig(plan));
  await writeConfig(plan);
  service.step(`wrote the configuration ${file}`);
  undoing.onFailure(() => service.stop(file));
  await service.start(file);
  service.step(`the agent of ${name} is up`);
}
