/** What a checkpoint has besides CRIU's images, said by the source. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { list } from '../../api/bounded';
import { GodwitError, wrongCheckpoint } from '../../api/errors';
import { Mounts, SharedMounts } from '../../api/peer-contract';
import { parseJson, parseWith } from '../../api/schema';
import { CHECKPOINT, includes } from '../../api/versions';
import { ParkedStub } from '../../debug/state/parked';
import { MOST_STUBS } from '../../keeper/contract';

export const MANIFEST = 'godwit.json';
/** A hundred thousand processes are a megabyte, a parked debugger some kilobytes. */
const MAX_BYTES = 16 * 1024 * 1024;

/** PID_MAX_LIMIT (linux/threads.h). */
const MOST_PROCESSES = 4 * 1024 * 1024;

export const Manifest = z.object({
  /** The processes that were dumped, as the job numbers them. */
  processes: list(z.int(), { most: MOST_PROCESSES }),
  parked: list(ParkedStub, { most: MOST_STUBS }),
  launchedStopped: z.boolean(),
  mounts: Mounts,
  shared: SharedMounts.default([]),
});
export type Manifest = z.infer<typeof Manifest>;

/** Its version; the first did not say it. */
const Numbered = z.looseObject({ checkpoint: z.int().default(1) });

export const writeManifest = (images: string, manifest: Manifest) =>
  writeFile(join(images, MANIFEST), JSON.stringify({ ...manifest, checkpoint: CHECKPOINT.newest })).catch(
    (error: Error) => {
      throw new GodwitError({
        code: 'image-transfer-failed',
        message: `the images can't be written: ${error.message}`,
      });
    },
  );

/** @throws GodwitError `incomplete-checkpoint`, `bad-message` */
export async function readManifest(images: string): Promise<Manifest> {
  const what = "the checkpoint's manifest";
  const path = join(images, MANIFEST);
  const missing = () => {
    throw new GodwitError({ code: 'incomplete-checkpoint', message: 'the checkpoint did not arrive whole' });
  };
  const { size } = await stat(path).catch(missing);
  if (size > MAX_BYTES)
    throw new GodwitError({
      code: 'bad-message',
      message: `${what} has ${size} bytes; ${MAX_BYTES} are the most`,
    });
  const said = parseJson(what, await readFile(path, 'utf8').catch(missing));
  // Before all else: the rest may differ in another version. The home has looked already, unless it is older itself.
  const { checkpoint } = parseWith(Numbered, said, what);
  if (!includes(CHECKPOINT, checkpoint)) throw wrongCheckpoint(checkpoint, 'the destination', CHECKPOINT);
  return parseWith(Manifest, said, what);
}
