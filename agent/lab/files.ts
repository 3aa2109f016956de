/**
 * The files of a lab's nodes. The first node has the machine's; each other one is a mount namespace in which people's
 * folders are empty and its own, as on another machine, so that a job that is moved without its files fails here as it
 * would there (mount_namespaces(7)).
 */
import { lstat, mkdir, readdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { run } from '../machine/command';
import { type Lab, type LabNode, nodePaths } from './description';
import { bindAgain, boundOf, filesNamespace } from './namespaces';

/** Of the folders in `/`, those of the system (hier(7), and what package managers add); all others hold data. */
const SYSTEM =
  /^(bin|boot|dev|etc|lib|lib32|lib64|libx32|libexec|proc|run|sbin|sys|usr|var|nix|gnu|snap|lost\+found)$/;
/** And one that the system keeps for people. */
const MORE_DATA = ['/var/tmp'];

/** Where a node's mount namespace has a name; null for one that has the machine's files. */
export const filesOf = (lab: string, { name, files }: LabNode): string | null =>
  files === 'private' ? filesNamespace(lab, name) : null;

async function dataFolders(): Promise<string[]> {
  const top = (await readdir('/')).filter((name) => !SYSTEM.test(name)).map((name) => `/${name}`);
  const found = await Promise.all(
    [...top, ...MORE_DATA].map(async (path) => ((await lstat(path)).isDirectory() ? path : null)),
  );
  return found.filter((path) => path !== null);
}

/** A folder that the node's daemons need from among those that it does not see, and where it sees it. */
interface Software {
  from: string;
  at: string;
}

/** What of the node's software lies in folders that are private to it. */
async function softwareOf(lab: Lab, node: LabNode): Promise<Software[]> {
  if (node.files !== 'private') return [];
  const data = await dataFolders();
  const { node: runtime, agent, keeper } = lab.programs;
  const programs = [runtime, agent, keeper, ...(lab.criu ? [lab.criu] : [])];
  const folders = [...new Set(programs.map((program) => dirname(program)))];
  return folders
    .filter((from) => data.some((folder) => from === folder || from.startsWith(`${folder}/`)))
    .map((from, index) => ({ from, at: join(nodePaths(lab.name, node.name).software, String(index)) }));
}

/** The lab as this node sees it: its programs at the paths where it has them. */
export async function seenFrom(lab: Lab, node: LabNode): Promise<Lab> {
  const software = await softwareOf(lab, node);
  const place = (program: string) => {
    const known = software.find(({ from }) => from === dirname(program));
    return known ? join(known.at, basename(program)) : program;
  };
  const { node: runtime, agent, keeper } = lab.programs;
  return {
    ...lab,
    programs: { node: place(runtime), agent: place(agent), keeper: place(keeper) },
    ...(lab.criu ? { criu: place(lab.criu) } : {}),
  };
}

/** Software first: it lies below what is covered then. */
const COVER = `set -e
while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done; shift
for folder; do mount -t tmpfs -o "mode=$(stat -c %a "$folder")" godwit-lab "$folder"; done`;

/**
 * Makes the node's mount namespace, if it has one and it is not there.
 * @param process one that is in it, if there is one
 * @throws GodwitError `command-failed`
 */
export async function makeFiles(lab: Lab, node: LabNode, process: number | null): Promise<void> {
  const namespace = filesOf(lab.name, node);
  if (!namespace || (await boundOf([namespace])).length > 0) return;
  if (process !== null) return bindAgain(namespace, 'mnt', process);
  const software = await softwareOf(lab, node);
  for (const { at } of software) await mkdir(at, { recursive: true, mode: 0o755 });
  await writeFile(namespace, '', { mode: 0o600 });
  const cover = ['sh', '-c', COVER, 'sh', ...software.flatMap(({ from, at }) => [from, at]), '--'];
  // What the machine unmounts goes here too; nothing that is mounted here is seen outside.
  const unshare = [`--mount=${namespace}`, '--propagation', 'slave'];
  await run('unshare', ...unshare, ...cover, ...(await dataFolders()));
}
