import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Writes a file so that whoever reads it sees the old one or the new one, whole, also after a crash: into a file of its
 * own beside it, flushed, then renamed.
 *
 * @param mark tells writers of the same file apart
 */
export async function writeWhole(path: string, text: string, mark: string): Promise<void> {
  const own = `${path}.${mark}.tmp`;
  await mkdir(dirname(path), { recursive: true });
  try {
    const file = await open(own, 'w', 0o644);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(own, path);
  } catch (error) {
    await rm(own, { force: true });
    throw error;
  }
}
