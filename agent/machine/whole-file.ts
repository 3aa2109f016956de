import { open, rename } from 'node:fs/promises';

/** Writes a file that is the old one or the new one at each moment, also after the machine has lost power. */
export async function writeWhole(path: string, text: string, mode: number): Promise<void> {
  const file = await open(`${path}.new`, 'w', mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
}
