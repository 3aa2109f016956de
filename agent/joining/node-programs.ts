/** What another machine needs of what is installed here: Godwit's programs, and a CRIU that needs nothing of the machine. */
import { readdir, realpath } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { findCriu, PRIVATE_CRIU } from '../machine/criu/criu';

/** What runs on a node, among what is beside the agent's program. */
const OF_NODE = /^(godwit|agent|keeper)\.cjs$|^godwit-(helper|homefs|stacks\.py|agent\.service|[\w-]+\.so)$/;

/** The names of the files in the folder of the agent's program that run on a node. */
export const nodePrograms = async (folder: string): Promise<string[]> =>
  (await readdir(folder)).filter((name) => OF_NODE.test(name));

export const CRIU_FOLDER = dirname(dirname(PRIVATE_CRIU));

export interface CarriedCriu {
  version: string;
  /** What of `CRIU_FOLDER` is to be there. */
  parts: string[];
}

/** The CRIU in a folder of its own, if that is the one in use here: its libraries are with it. @throws GodwitError `no-criu` */
export async function carriedCriu(): Promise<CarriedCriu | null> {
  const { path, version } = await findCriu();
  if (path !== PRIVATE_CRIU) return null;
  const inUse = dirname(dirname(await realpath(path)));
  return { version, parts: ['bin', ...(inUse === CRIU_FOLDER ? ['root'] : [relative(CRIU_FOLDER, inUse)])] };
}
