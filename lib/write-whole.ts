import { rename, rm, writeFile } from 'node:fs/promises';
import { fileError } from './errors';

/**
 * Writes a small file, whole or not at all: what was there before stays until all of the new is on the disk.
 *
 * @throws DenseNetError `ERR_FILE`.
 */
export async function writeWhole(file: string, content: string): Promise<void> {
  const temporary = `${file}.tmp-${process.pid}`;
  try {
    await writeFile(temporary, content, { flush: true });
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw fileError(file, error);
  }
}
